//! A configuration's text → what can be started: checked graph, engines at work, models on them. The one place that wires
//! engines, models and stages together; what plays it is `play.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use app_sections::{EngineKind, EngineSection, ModelSection};
use async_channel::Receiver;
use gpu::actor::{self, Timing};
use gpu::engine::wgpu::{AdapterChoice, list_adapters};
use gpu::protocol::speech::SpeechOptions;
use gpu::protocol::{Ended, GpuHandle};
use pipeline::graph::Graph;
use pipeline::packet::Packet;
use pipeline::record::{Recorder, Script, register_replay};
use pipeline::registry::Registry;
use pipeline::time::Clock;
use pipeline::trace::Trace;
use sim::{Kernels, SimEngine};
use stages::tts::voices::{VoiceFiles, Voices};
use stages::{Env, Model, ModelText};

use crate::args::EngineType;
use crate::choice::{self, Recall};
use crate::graph_text::GraphText;
use crate::models;
use crate::progress::shown;
use crate::tape::With;

/// The engines that were started, for [`engines_ended`].
static STARTED: Mutex<Vec<Ended>> = Mutex::new(Vec::new());
/// How long the program waits for them when it ends.
const ENGINES_END_IN: Duration = Duration::from_secs(5);

/// Waits, not for long, until every engine that was started has ended: all that holds one must be dropped by now.
pub async fn engines_ended() {
    let started = std::mem::take(&mut *STARTED.lock().unwrap_or_else(PoisonError::into_inner));
    let all = futures::future::join_all(started.into_iter().map(Ended::wait));
    if tokio::time::timeout(ENGINES_END_IN, all).await.is_err() {
        tracing::warn!("an engine is still at work");
    }
}

/// Packets that wait for the program on a channel.
const CHANNEL_SIZE: usize = 1024;

/// A graph with everything that its stages need.
pub struct Ready {
    pub graph: Graph,
    pub registry: Registry,
    pub clock: Clock,
    pub trace: Trace,
    /// What comes out of the graph's `sink.channel` stages, by name.
    pub channels: BTreeMap<String, Receiver<Packet>>,
    /// What the engines are, by name: for the summary.
    pub adapters: BTreeMap<String, String>,
    /// What it has to do with a recording.
    pub recorder: Option<Recorder>,
    pub script: Option<Script>,
}

/// What a check may ask of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    /// Models that are named are here, or may be on the hub.
    Found,
    /// They may be anywhere: enough to draw a graph.
    Named,
}

/// The types of stage, and how sections of models and engines are checked.
pub fn registry_for_checks(base: &Path, models: Models) -> Registry {
    let base = base.to_owned();
    let env = Env {
        base,
        voices: voices(),
        ..Env::default()
    };
    registry(&Arc::new(env), models)
}

/// The voices that travel inside the program, or lie in a folder of models.
pub fn voices() -> Voices {
    let mut voices = Voices::default();
    for (name, onnx, json) in models::voices() {
        voices.add(name, VoiceFiles { onnx, json });
    }
    voices
}

fn registry(env: &Arc<Env>, models: Models) -> Registry {
    let mut registry = Registry::new();
    stages::register(&mut registry, env);
    let base = env.base.clone();
    registry.model_check(move |_, table| {
        let mut faults = ModelSection::read(table).err().unwrap_or_default();
        if models == Models::Found {
            let source = table.get("source").and_then(toml::Value::as_str);
            let source = source.filter(|source| !source.trim().is_empty());
            faults.extend(source.and_then(|source| models::find(source, &base).err()));
        }
        faults
    });
    registry.engine_check(|_, table| EngineSection::read(table).err().unwrap_or_default());
    registry
}

/// Checks the text, starts the engines that it uses, and loads the models onto them.
///
/// Errors: all faults of the text together; no adapter, or one that is too small; a model that cannot be found, downloaded
/// or loaded; what a recording has of an engine makes no sense.
pub async fn set_up(text: &GraphText, has_trace: bool, with: &With) -> Result<Ready> {
    let mut checks = registry_for_checks(&text.base, Models::Found);
    if let Some(tape) = with.tape() {
        register_replay(&mut checks, tape);
    }
    let graph = text.check(&checks)?;
    let clock = if with.tape().is_some() {
        Clock::new_virtual()
    } else {
        clock_for(&graph)
    };
    let trace = if has_trace { Trace::on(clock.clone()) } else { Trace::off() };
    let mut env = Env {
        base: text.base.clone(),
        voices: voices(),
        now_unix_s: with.unix_s(),
        ..Env::default()
    };
    let mut adapters = BTreeMap::new();
    for name in names(&graph, |stage| stage.engine.as_deref()) {
        let timing = Timing {
            clock: clock.clone(),
            trace: trace.track(&format!("engine.{name}")),
        };
        let engine = match with.played() {
            Some(tape) => actor::replay(tape, name, &clock).with_context(|| format!("engine {name}"))?,
            None => start_engine(&graph, name, timing).await?,
        };
        let engine = match with.recorder() {
            Some(recorder) => actor::record(engine, name, clock.clone(), recorder.clone()),
            None => engine,
        };
        let stats = engine.stats().await.with_context(|| format!("engine {name}"))?;
        adapters.insert(name.to_owned(), stats.adapter.name);
        env.engines.insert(name.to_owned(), engine);
    }
    for name in names(&graph, |stage| stage.model.as_deref()) {
        if is_of_speech(&graph, name) {
            load_ears(&graph, name, &mut env, with).await?;
        } else {
            let model = load_model(&graph, name, &env, with).await?;
            env.models.insert(name.to_owned(), model);
        }
    }
    let mut channels = BTreeMap::new();
    for stage in graph.stages().iter().filter(|stage| stage.type_name == "sink.channel") {
        let name = stage.table.get("name").and_then(toml::Value::as_str).unwrap_or(&stage.name);
        channels.insert(name.to_owned(), env.open_channel(name, CHANNEL_SIZE));
    }
    let mut registry = registry(&Arc::new(env), Models::Found);
    if let Some(tape) = with.tape() {
        register_replay(&mut registry, tape);
    }
    Ok(Ready {
        graph,
        registry,
        clock,
        trace,
        channels,
        adapters,
        recorder: with.recorder().cloned(),
        script: with.script(),
    })
}

/// The names that stages use, each once.
fn names<'a>(graph: &'a Graph, of: impl Fn(&'a pipeline::graph::StageSpec) -> Option<&'a str>) -> BTreeSet<&'a str> {
    graph.stages().iter().filter_map(of).collect()
}

/// Time is virtual where an engine charges time that is modelled, else real.
fn clock_for(graph: &Graph) -> Clock {
    let stands_for = |name: &str| {
        let section = engine_section(graph, name);
        section.is_some_and(|section| section.kind == EngineKind::Sim && section.stands_for.is_some())
    };
    match names(graph, |stage| stage.engine.as_deref()).into_iter().any(stands_for) {
        true => Clock::new_virtual(),
        false => Clock::new(),
    }
}

/// A checked graph has sections that can be read.
fn engine_section(graph: &Graph, name: &str) -> Option<EngineSection> {
    graph.engines().get(name).and_then(|table| EngineSection::read(table).ok())
}

async fn start_engine(graph: &Graph, name: &str, timing: Timing) -> Result<GpuHandle> {
    let section = engine_section(graph, name).ok_or_else(|| anyhow!("engine {name} has no section"))?;
    let started = match section.kind {
        EngineKind::Sim => {
            let (device, clock) = (section.stands_for, timing.clock.clone());
            let make = move || {
                std::future::ready(Ok(match &device {
                    Some(device) => SimEngine::charging(Kernels::Fast, device.clone(), clock.clone()),
                    None => SimEngine::new(Kernels::Fast),
                }))
            };
            actor::start(name, timing, make).await
        }
        EngineKind::Wgpu => {
            let choice = AdapterChoice {
                name: section.adapter,
                ..AdapterChoice::default()
            };
            let make = move || {
                let choice = choice.clone();
                async move { Ok(choice::open(choice, Recall::Remembered).await?.0) }
            };
            actor::start(name, timing, make).await
        }
    };
    let engine = started.with_context(|| format!("engine {name} cannot start"))?;
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(engine.ended());
    Ok(engine)
}

/// Reads a model's text side, and loads its weights onto each engine that a stage uses it with.
async fn load_model(graph: &Graph, name: &str, env: &Env, with: &With) -> Result<Model> {
    let section = graph.models().get(name).and_then(|table| ModelSection::read(table).ok());
    let section = section.ok_or_else(|| anyhow!("model {name} has no section"))?;
    let failed = || format!("model {name} ({}) cannot be loaded", section.source);
    let place = models::find(&section.source, &env.base)
        .map_err(|fault| anyhow!("{fault}"))
        .with_context(failed)?;
    let download = async |progress| models::open(place, progress, with.played().is_some()).await;
    let source = shown(format!("downloading {}", section.source), download)
        .await
        .with_context(failed)?;
    let text = ModelText::load(&*source).await.with_context(failed)?;
    let mut loaded = BTreeMap::new();
    let users = graph.stages().iter().filter(|stage| stage.model.as_deref() == Some(name));
    for engine_name in users.filter_map(|stage| stage.engine.as_deref()).collect::<BTreeSet<_>>() {
        let Some(engine) = env.engines.get(engine_name) else {
            continue;
        };
        let load = async |progress| engine.load(source.clone(), section.load_options(), Some(progress)).await;
        let info = shown(format!("loading {}", section.source), load)
            .await
            .with_context(failed)?;
        loaded.insert(engine_name.to_owned(), info);
    }
    Ok(Model {
        text: Arc::new(text),
        loaded,
    })
}

/// Whether the stages that use a model hear with it.
fn is_of_speech(graph: &Graph, name: &str) -> bool {
    let mut users = graph.stages().iter().filter(|stage| stage.model.as_deref() == Some(name));
    users.any(|stage| stage.type_name.starts_with("stt."))
}

/// Loads a model of speech onto each engine that a stage uses it with.
async fn load_ears(graph: &Graph, name: &str, env: &mut Env, with: &With) -> Result<()> {
    let section = graph.models().get(name).and_then(|table| ModelSection::read(table).ok());
    let section = section.ok_or_else(|| anyhow!("model {name} has no section"))?;
    let failed = || format!("model {name} ({}) cannot be loaded", section.source);
    let place = models::find(&section.source, &env.base)
        .map_err(|fault| anyhow!("{fault}"))
        .with_context(failed)?;
    let download = async |progress| models::open_speech(place, progress, with.played().is_some()).await;
    let source = shown(format!("downloading {}", section.source), download)
        .await
        .with_context(failed)?;
    let options = SpeechOptions {
        quant: section.load_options().quant,
        ..SpeechOptions::default()
    };
    let users = graph.stages().iter().filter(|stage| stage.model.as_deref() == Some(name));
    for engine_name in users.filter_map(|stage| stage.engine.as_deref()).collect::<BTreeSet<_>>() {
        let Some(engine) = env.engines.get(engine_name) else {
            continue;
        };
        let load = async |progress| stages::stt::model::load(engine, source.clone(), options, Some(progress)).await;
        let ear = shown(format!("loading {}", section.source), load)
            .await
            .with_context(failed)?;
        env.ears.insert((name.to_owned(), engine_name.to_owned()), ear);
    }
    Ok(())
}

/// What computes fastest here. Says so where that is not a GPU.
pub async fn best_engine() -> EngineType {
    let adapters = list_adapters().await;
    match adapters.first() {
        Some(adapter) if !adapter.software => EngineType::Wgpu,
        Some(adapter) => {
            eprintln!(
                "note: {} is no GPU but a program that plays one; the simulator is faster (--engine sim)",
                adapter.name
            );
            EngineType::Sim
        }
        None => {
            eprintln!("note: no GPU adapter was found; going on with the simulator (--engine sim)");
            EngineType::Sim
        }
    }
}
