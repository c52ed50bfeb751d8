//! A configuration's text → engines at work with models on them, kept over runs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use app_sections::{EngineKind, EngineSection, Hybrid, ModelSection};
use async_channel::Sender;
use gpu::actor::{self, Timing};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::protocol::speech::SpeechOptions;
use gpu::protocol::{GpuHandle, LoadProgress, ModelInfo};
use gpu::weights::source::Source;
use gpu::weights::source::repository::check_id;
use pipeline::error::Fault;
use pipeline::graph::{Graph, StageSpec};
use pipeline::registry::Registry;
use pipeline::time::Clock;
use pipeline::trace::TraceHandle;
use sim::hybrid::{Beside, Shadow, ShadowHandle};
use sim::timing::impossible::Switches;
use sim::{Kernels, SimEngine};
use stages::stt::recognise::Ear;
use stages::tts::voices::{VoiceFiles, Voices};
use stages::{Env, Model, ModelText};

use super::devices::Devices;
use super::error::Result;
use super::source::Shots;
use super::step::Answering;
use super::{microphone, sink, source, speaker, text, voice};
use crate::protocol::{self, Notice, Progress, Ready, Step, ToPage};

/// Models that travel with the page.
pub const POCKET_MODELS: [&str; 2] = ["pocket-vl", "pocket-asr"];

/// What a model that travels with the page is called there: where it lies in the program's tree does not matter.
fn pocket_name(source: &str) -> Option<&str> {
    let name = source.rsplit('/').next().unwrap_or(source);
    POCKET_MODELS.contains(&name).then_some(name)
}

/// The files of a model.
pub struct Files {
    pub source: Arc<dyn Source>,
    /// They come while they are loaded, and who brings them tells how far that is.
    pub is_coming: bool,
}

/// Engines and models of a configuration.
pub struct Prepared {
    /// The text that was checked.
    pub config: String,
    pub clock: Clock,
    pub ready: Ready,
    /// The model that answers, where it can be measured; none where the graph has none.
    pub answering: Option<Answering>,
    engines: BTreeMap<String, GpuHandle>,
    models: BTreeMap<String, Model>,
    ears: BTreeMap<(String, String), Ear>,
}

impl Prepared {
    /// What a run's stages are built from: those that are with the engines.
    pub fn registry(&self, shots: &Shots, page: &Sender<ToPage>) -> Registry {
        let env = Env {
            engines: self.engines.clone(),
            models: self.models.clone(),
            ears: self.ears.clone(),
            ..env_for_checks()
        };
        registry(env, shots, &Devices::default(), page)
    }
}

/// Knows the names of the voices that travel with the page.
pub fn env_for_checks() -> Env {
    let mut voices = Voices::default();
    let (onnx, json) = (Cow::Borrowed(&[][..]), Cow::Borrowed(&[][..]));
    voices.add(voice::VOICE, VoiceFiles { onnx, json });
    Env {
        voices,
        ..Env::default()
    }
}

/// The types of stage in the tab, and how sections are checked there.
pub fn registry(env: Env, shots: &Shots, devices: &Devices, page: &Sender<ToPage>) -> Registry {
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(env));
    source::register(&mut registry, shots);
    sink::register(&mut registry, page);
    microphone::register(&mut registry, devices);
    speaker::register(&mut registry, devices, page);
    registry.model_check(|_, table| match ModelSection::read(table) {
        Err(faults) => faults,
        Ok(section) if pocket_name(&section.source).is_some() || check_id(&section.source, "main").is_ok() => Vec::new(),
        Ok(section) => {
            let known = POCKET_MODELS.map(|name| format!("\"{name}\"")).join(", ");
            let message = format!("there is no model \"{}\" in the tab", section.source);
            vec![Fault::new(
                "source",
                message,
                known + " or a model of the hub, \"OWNER/NAME\"",
            )]
        }
    });
    registry.engine_check(|_, table| EngineSection::read(table).err().unwrap_or_default());
    registry
}

/// Checks a text as the page does while it is edited.
///
/// Errors: all faults together.
pub fn check(config: &str) -> std::result::Result<Graph, pipeline::error::Error> {
    let (page, _heard) = async_channel::bounded(1);
    Graph::from_toml(
        config,
        &registry(env_for_checks(), &Shots::nothing(), &Devices::default(), &page),
    )
}

/// Checks the text, starts the engines that it uses, and loads the models onto them. `files` gives the files of a model that
/// travels with the page by its name, of others by their id at the hub; the page is told how far everything is.
///
/// Errors: all faults of the text together; no adapter, or one that is too small; files that do not arrive; a model that cannot
/// be loaded.
pub async fn prepare(
    config: &str,
    kind: protocol::EngineKind,
    files: impl AsyncFn(&str) -> Result<Files>,
    page: &Sender<ToPage>,
) -> Result<Prepared> {
    check(config)?;
    let config = match kind {
        protocol::EngineKind::AsWritten => config.to_owned(),
        protocol::EngineKind::Simulator => text::simulated(config),
    };
    let graph = check(&config)?;
    let clock = clock_for(&graph);
    let wall = Clock::new();
    let start = wall.now();
    let (mut engines, mut shadows) = (BTreeMap::new(), BTreeMap::new());
    for name in names(&graph, |stage| stage.engine.as_deref()) {
        let timing = Timing {
            clock: clock.clone(),
            trace: TraceHandle::off(),
        };
        let (engine, shadow) = start_engine(&graph, name, timing, page).await?;
        engines.insert(name.to_owned(), engine);
        shadows.extend(shadow.map(|shadow| (name.to_owned(), shadow)));
    }
    let (mut models, mut ears) = (BTreeMap::new(), BTreeMap::new());
    let mut weight_bytes = 0;
    for name in names(&graph, |stage| stage.model.as_deref()) {
        let Some(section) = graph.models().get(name).and_then(|table| ModelSection::read(table).ok()) else {
            continue;
        };
        let Files { source, is_coming } = files(pocket_name(&section.source).unwrap_or(&section.source)).await?;
        let told = (!is_coming).then_some(page);
        let users = graph.stages().iter().filter(|stage| stage.model.as_deref() == Some(name));
        let users: BTreeSet<&str> = users.filter_map(|stage| stage.engine.as_deref()).collect();
        if is_of_speech(&graph, name) {
            for engine_name in users {
                let Some(engine) = engines.get(engine_name) else { continue };
                let ear = load_ear(engine, &source, &section, told).await?;
                weight_bytes += ear.info.weight_bytes;
                ears.insert((name.to_owned(), engine_name.to_owned()), ear);
            }
            continue;
        }
        let text = Arc::new(ModelText::load(&*source).await?);
        let mut loaded = BTreeMap::new();
        for engine_name in users {
            let Some(engine) = engines.get(engine_name) else { continue };
            let info = load(engine, &source, &section, told).await?;
            weight_bytes += info.weight_bytes;
            loaded.insert(engine_name.to_owned(), info);
        }
        models.insert(name.to_owned(), Model { text, loaded });
    }
    let mut ready = Ready {
        adapter: String::new(),
        is_software: false,
        is_simulated: false,
        weight_bytes,
        memory_bytes: 0,
        load_ms: wall.now().since(start).as_millis() as u64,
    };
    let mut answering = None;
    for (name, engine) in &engines {
        let stats = engine.stats().await?;
        ready.memory_bytes += stats.memory_bytes;
        ready.is_software |= stats.adapter.software;
        ready.is_simulated |= engine_section(&graph, name).is_some_and(|section| section.kind == EngineKind::Sim);
        ready.adapter = stats.adapter.name.clone();
        if let Some((section, info)) = answerer(&graph, name, &models) {
            answering = Some(Answering {
                engine: engine.clone(),
                engine_name: name.clone(),
                adapter: stats.adapter,
                shadow: shadows.get(name).cloned(),
                section,
                info,
            });
        }
    }
    Ok(Prepared {
        config,
        clock,
        ready,
        answering,
        engines,
        models,
        ears,
    })
}

/// The model that answers on an engine, if one does.
fn answerer(graph: &Graph, engine: &str, models: &BTreeMap<String, Model>) -> Option<(ModelSection, ModelInfo)> {
    let mut stages = graph.stages().iter();
    let stage = stages.find(|stage| stage.type_name == "llm.generate" && stage.engine.as_deref() == Some(engine))?;
    let name = stage.model.as_deref()?;
    let section = ModelSection::read(graph.models().get(name)?).ok()?;
    Some((section, models.get(name)?.loaded.get(engine)?.clone()))
}

/// The names that stages use, each once.
fn names<'a>(graph: &'a Graph, of: impl Fn(&'a StageSpec) -> Option<&'a str>) -> BTreeSet<&'a str> {
    graph.stages().iter().filter_map(of).collect()
}

/// A checked graph has sections that can be read.
fn engine_section(graph: &Graph, name: &str) -> Option<EngineSection> {
    graph.engines().get(name).and_then(|table| EngineSection::read(table).ok())
}

/// Time is virtual where an engine charges time that is modelled, else real.
fn clock_for(graph: &Graph) -> Clock {
    let charges = |name: &str| {
        let section = engine_section(graph, name);
        section.is_some_and(|section| section.kind == EngineKind::Sim && section.stands_for.is_some())
    };
    match names(graph, |stage| stage.engine.as_deref()).into_iter().any(charges) {
        true => Clock::new_virtual(),
        false => Clock::new(),
    }
}

/// An engine, and the shadow that measures it: off until somebody asks, unless the configuration has it on. None where time is
/// not the engine's own.
async fn start_engine(
    graph: &Graph,
    name: &str,
    timing: Timing,
    page: &Sender<ToPage>,
) -> Result<(GpuHandle, Option<ShadowHandle>)> {
    let section = engine_section(graph, name);
    let is_sim = section.as_ref().is_none_or(|section| section.kind == EngineKind::Sim);
    let (stands_for, beside) = match section {
        Some(section) => (section.stands_for, beside(section.kind, section.hybrid)),
        None => (None, None),
    };
    let shadow = ShadowHandle::default();
    shadow.watch(beside.is_some());
    let beside = beside.unwrap_or(Beside {
        profile: None,
        switches: Switches::ON,
    });
    if let (true, Some(device)) = (is_sim, &stands_for) {
        let (device, clock) = (device.clone(), timing.clock.clone());
        let make = move || std::future::ready(Ok(SimEngine::charging(Kernels::Fast, device.clone(), clock.clone())));
        return Ok((actor::start(name, timing, make).await?, None));
    }
    let handle = shadow.clone();
    if is_sim {
        let make = move || {
            let engine = SimEngine::new(Kernels::Fast);
            std::future::ready(Ok(Shadow::new(engine, &beside, handle.clone())))
        };
        return Ok((actor::start(name, timing, make).await?, Some(shadow)));
    }
    let n_opened = AtomicU32::new(0);
    let page = page.clone();
    let make = move || {
        if n_opened.fetch_add(1, Ordering::Relaxed) > 0 {
            // Only words: a page that is slow does without them.
            let _ = page.try_send(ToPage::Notice(Notice::DeviceLost));
        }
        let (beside, handle) = (beside.clone(), handle.clone());
        async move { Ok(Shadow::new(WgpuEngine::new(AdapterChoice::default()).await?, &beside, handle)) }
    };
    Ok((actor::start(name, timing, make).await?, Some(shadow)))
}

/// What a hybrid engine has beside it all the time. The tab mixes nothing: there all is played on the real one.
fn beside(kind: EngineKind, hybrid: Hybrid) -> Option<Beside> {
    match hybrid {
        Hybrid::Shadow(beside) if kind == EngineKind::Hybrid => Some(*beside),
        _ => None,
    }
}

/// Whether the stages that use a model hear with it.
fn is_of_speech(graph: &Graph, name: &str) -> bool {
    let mut users = graph.stages().iter().filter(|stage| stage.model.as_deref() == Some(name));
    users.any(|stage| stage.type_name.starts_with("stt."))
}

async fn load(
    engine: &GpuHandle,
    source: &Arc<dyn Source>,
    section: &ModelSection,
    page: Option<&Sender<ToPage>>,
) -> Result<ModelInfo> {
    let load = |tell| engine.load(source.clone(), section.load_options(), Some(tell));
    Ok(telling(page, load).await?)
}

async fn load_ear(
    engine: &GpuHandle,
    source: &Arc<dyn Source>,
    section: &ModelSection,
    page: Option<&Sender<ToPage>>,
) -> Result<Ear> {
    let options = SpeechOptions {
        quant: section.load_options().quant,
        ..SpeechOptions::default()
    };
    let load = |tell| stages::stt::model::load(engine, source.clone(), options, Some(tell));
    Ok(telling(page, load).await?)
}

/// Tells the page how far a load is, if it is to be told.
async fn telling<T>(page: Option<&Sender<ToPage>>, load: impl AsyncFnOnce(Sender<LoadProgress>) -> T) -> T {
    let (tell, told) = async_channel::bounded::<LoadProgress>(4);
    let progress = async {
        while let Ok(progress) = told.recv().await {
            let message = ToPage::Progress(Progress {
                step: Step::Load,
                done_bytes: progress.done_bytes,
                total_bytes: progress.total_bytes,
            });
            let _ = page.map(|page| page.try_send(message));
        }
    };
    let (loaded, ()) = futures::join!(load(tell), progress);
    loaded
}
