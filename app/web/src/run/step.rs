//! A decode step of the model that answers: measured on its engine, beside what a profile says of it and what the impossible GPU
//! would take; and the same step on every GPU of which there is a profile. What is computed here is `sim`'s; not how it is drawn.

use app_sections::ModelSection;
use gpu::engine::Adapter;
use gpu::model::qwen3_vl::config::Config;
use gpu::protocol::{GenerateEvent, GenerateRequest, GpuHandle, LoadOptions, ModelInfo};
use gpu::sampler::Sampling;
use sim::hybrid::{ShadowHandle, Step};
use sim::timing::dry::{DryEngine, Plans};
use sim::timing::impossible::Switches;
use sim::timing::predict::Work;
use sim::timing::{Device, Profile, bundled};

use super::error::{Error, Result};
use super::plan::{MODELS, POCKET};
use crate::protocol::{GpuRow, Likeness, MeasuredBy, StepTold};

/// Tokens of the prompt before the steps that are measured, and how many these are.
const PROMPT: u32 = 96;
const N_STEPS: u32 = 24;
/// Tokens in the cache of a step that was not measured: as many as those have on average.
const N_CACHED: usize = (PROMPT + N_STEPS / 2) as usize;
/// What a step's recording is called.
const DECODE: &str = "decode";
/// The GPU that is modelled where there is no adapter yet.
const USUAL: &str = "rtx-3060";

/// The model that answers, and where it lies.
pub struct Answering {
    pub engine: GpuHandle,
    pub engine_name: String,
    pub adapter: Adapter,
    /// None: the engine's time is not its own.
    pub shadow: Option<ShadowHandle>,
    pub section: ModelSection,
    pub info: ModelInfo,
}

impl Answering {
    /// Measures steps of an answer of its own; what was measured before is forgotten.
    ///
    /// Errors: those of the engine; an engine whose time is modelled.
    pub async fn measure(&self) -> Result<()> {
        let shadow = self.shadow.as_ref().ok_or_else(|| Error::NotReal {
            engine: self.engine_name.clone(),
        })?;
        let was_on = shadow.is_watching();
        shadow.clear();
        shadow.watch(true);
        let answered = self.answer().await;
        shadow.watch(was_on);
        answered
    }

    async fn answer(&self) -> Result<()> {
        let vocabulary = self.info.vocab_size.max(1) as u32;
        let request = GenerateRequest {
            model: self.info.id,
            sequence: None,
            tokens: (0..PROMPT).map(|i| (i * 31 + 7) % vocabulary).collect(),
            media: Vec::new(),
            sampling: Sampling::default(),
            max_new_tokens: N_STEPS + 1,
            // No id that the vocabulary has: the answer goes on to its length.
            stop_ids: vec![u32::MAX],
            thinking: None,
        };
        let events = self.engine.generate(request).await?;
        while let Ok(event) = events.recv().await {
            if let GenerateEvent::Finished { .. } = event? {
                return Ok(());
            }
        }
        Err(Error::CutShort)
    }
}

/// What the page is told of a step on a GPU like `profile`; none: like the adapter, or a usual one where nothing is loaded.
///
/// Errors: an unknown profile, with the nearest names; an adapter that is too small for the model.
pub fn told(answering: Option<&Answering>, profile: Option<&str>) -> Result<StepTold> {
    let adapter = answering.map(|answering| &answering.adapter);
    let (profile, likeness) = match (profile, adapter) {
        (Some(key), adapter) => {
            let profile = named(key)?.clone();
            let profile = adapter.map_or(profile.clone(), |adapter| profile.with_adapter(adapter));
            (profile, Likeness::Chosen)
        }
        (None, Some(adapter)) => match bundled::of_adapter(adapter) {
            (profile, true) => (profile, Likeness::ByName),
            (profile, false) => (profile, Likeness::OfItsKind),
        },
        (None, None) => (named(USUAL)?.clone(), Likeness::OfItsKind),
    };
    let (modelled, impossible) = (Device::new(profile.clone()), Switches::ON.over(&profile));
    let shadow = answering.and_then(|answering| answering.shadow.as_ref());
    let measured = shadow.and_then(|shadow| shadow.step(DECODE, &modelled, &impossible));
    let step = match measured {
        Some(step) => step,
        None => {
            let engine = match adapter {
                // What the engine itself would play.
                Some(adapter) if adapter.backend != "sim" => DryEngine::new(adapter.clone()),
                _ => DryEngine::of(&profile),
            };
            Step::modelled(&plans(engine, answering)?.step, N_CACHED, &modelled, &impossible)
        }
    };
    Ok(StepTold {
        model: model_name(answering).to_owned(),
        adapter: adapter.map(|adapter| adapter.name.clone()),
        by: match (step.measured_s, step.has_spans()) {
            (None, _) => MeasuredBy::Nothing,
            (Some(_), true) => MeasuredBy::Stamps,
            (Some(_), false) => MeasuredBy::Clock,
        },
        profile_name: named(&profile.key)?.name.clone(),
        profile: profile.key,
        likeness,
        switches: Switches::ON.line(),
        step,
    })
}

/// The step on one GPU after the other, each with the algorithms of its own; those that are too small for it are left out.
pub fn compared(answering: Option<&Answering>) -> impl Iterator<Item = GpuRow> {
    bundled::profiles().iter().filter_map(move |profile| {
        let plans = plans(DryEngine::of(profile), answering).ok()?;
        let time = |device: &Device| plans.time(device, Work::Step { n_cached: N_CACHED });
        let (real, impossible) = (time(&Device::new(profile.clone())), time(&Switches::ON.over(profile)));
        Some(GpuRow {
            key: profile.key.clone(),
            name: profile.name.clone(),
            step_s: real.total_s,
            waits_for: real.bound().name().to_owned(),
            impossible_s: impossible.total_s,
            impossible_waits_for: impossible.bound().name().to_owned(),
        })
    })
}

fn model_name(answering: Option<&Answering>) -> &str {
    answering.map_or(MODELS[0], |answering| &answering.section.source)
}

/// The model's plans for text. In the tab there is one model.
fn plans(engine: DryEngine, answering: Option<&Answering>) -> Result<Plans> {
    let options = answering.map_or_else(LoadOptions::default, |answering| answering.section.load_options());
    Ok(Plans::make(engine, &Config::from_json(POCKET)?, &options, &[], &[])?)
}

fn named(key: &str) -> Result<&'static Profile> {
    bundled::find(key).ok_or_else(|| {
        let keys: Vec<&str> = bundled::profiles().iter().map(|profile| profile.key.as_str()).collect();
        let near = bundled::nearest(key, keys.iter().copied());
        Error::Profile {
            name: key.to_owned(),
            known: if near.is_empty() { keys.join(", ") } else { near.join(", ") },
        }
    })
}
