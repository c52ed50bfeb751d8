//! `qwglm bench --shape`: how fast a model of a shape answers, through the actor that all answers go through: the figures are
//! what a user gets. Weights are random.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_channel::Receiver;
use gpu::actor::{self, Timing};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::engine::{Adapter, Engine as _};
use gpu::model::qwen3_vl::buckets::{MAX_CHUNK, buckets};
use gpu::protocol::{
    EncodeRequest, FeatureHandle, GenerateEvent, GenerateRequest, GenerateStats, GpuHandle, LoadOptions, ModelInfo,
};
use gpu::sampler::Sampling;
use pipeline::time::Clock;
use pipeline::trace::Trace;
use sim::timing::{Profile, bundled};
use sim::{Kernels, SimEngine};

use super::args::{BenchModelArgs, Engine, ShapeArgs, Without};
use super::calibrate;
use super::cpu::processor_time;
use super::kernels::WARM_UP;
use super::machine::Machine;
use super::median;
use super::model_report::{Cancel, Decode, Image, Measured, Prefill};
use super::observed::{Observed, PlanCost, Seen};
use super::shape::Shape;
use crate::choice::{self, Recall};

/// Words around a picture.
const WORDS: usize = 16;
/// Runs of the measure of a cancel, and tokens that come before it.
const TOKENS_BEFORE_CANCEL: usize = 8;

/// Runs everything.
///
/// Errors: those of the engine; a shape that there is not.
pub async fn measure(args: &BenchModelArgs) -> Result<Measured> {
    let shape = Shape::find(&args.shape).await?;
    let seen = Seen::default();
    let handle = start(&args.shape, args.engine, &seen).await?;
    let ended = handle.ended();
    let measured = measure_on(handle, args, &shape, &seen).await;
    // A driver that is at work must not be left behind.
    ended.wait().await;
    measured
}

pub async fn start(shape: &ShapeArgs, engine: Engine, seen: &Seen) -> gpu::Result<GpuHandle> {
    let timing = Timing {
        clock: Clock::new(),
        trace: Trace::off().track("bench"),
    };
    let seen = seen.clone();
    let choice = AdapterChoice {
        name: shape.adapter.clone(),
        ..AdapterChoice::default()
    };
    let without = shape.without;
    match engine {
        Engine::Wgpu => {
            let make = move || {
                let (choice, seen) = (choice.clone(), seen.clone());
                async move { Ok(Observed::new(open(choice, without).await?, seen)) }
            };
            actor::start("bench", timing, make).await
        }
        Engine::Sim => {
            let make = move || {
                let seen = seen.clone();
                async move { Ok(Observed::new(SimEngine::new(Kernels::Fast), seen)) }
            };
            actor::start("bench", timing, make).await
        }
    }
}

async fn measure_on(handle: GpuHandle, args: &BenchModelArgs, shape: &Shape, seen: &Seen) -> Result<Measured> {
    let n_tokens = args.tokens as usize;
    let picture = |&(width, height): &(usize, usize)| width * height / 1024 + WORDS;
    let lengths = args.contexts.0.iter().chain(&args.prefill.0).copied();
    let deepest = lengths.chain(args.images.0.iter().map(picture)).max().unwrap_or(0);
    let options = LoadOptions {
        quant: shape.quant,
        context_tokens: deepest + n_tokens + 2 * MAX_CHUNK,
        ..LoadOptions::default()
    };
    let started = Instant::now();
    let info = handle.load(shape.weights()?, options, None).await?;
    let load_s = started.elapsed().as_secs_f64();
    let adapter = handle.stats().await?.adapter;
    let (profile, roofline) = rates(&adapter);
    let bench = Bench {
        handle,
        info,
        profile,
        shape,
        seen,
        runs: args.shape.runs,
        n_tokens: args.tokens,
    };
    let mut decode = Vec::new();
    for &context in &args.contexts.0 {
        decode.push(bench.decode(context).await?);
    }
    let mut prefill = Vec::new();
    for &length in &args.prefill.0 {
        prefill.push(bench.prefill(length).await?);
    }
    let mut images = Vec::new();
    for &size in &args.images.0 {
        images.push(bench.image(size).await?);
    }
    let cancel = match args.cancel {
        true => Some(bench.cancel(args.contexts.0.first().copied().unwrap_or(0)).await?),
        false => None,
    };
    let stats = bench.handle.stats().await?;
    let step = bench.seen.counts().plans.remove("decode").unwrap_or_default();
    Ok(Measured {
        kind: "bench",
        bench: "model",
        machine: Machine::new(&stats.adapter),
        shape: shape.name.clone(),
        quant: shape.quant_name(),
        layers: shape.config.text.num_hidden_layers,
        runs: args.shape.runs,
        roofline,
        load_s,
        weight_bytes: bench.info.weight_bytes,
        cache_bytes: bench.info.cache_bytes,
        memory_bytes: stats.memory_bytes,
        dispatches: step.size.dispatches,
        dispatches_a_layer: step.size.a_layer,
        decode,
        prefill,
        images,
        cancel,
    })
}

/// The adapter with what was chosen for it, but without what it shall lack.
pub async fn open(adapter: AdapterChoice, without: Option<Without>) -> gpu::Result<WgpuEngine> {
    let (mut engine, _) = choice::open(adapter, Recall::Remembered).await?;
    if let Some(without) = without {
        let variants = without.take_from(engine.adapter(), engine.variants());
        engine.set_variants(variants);
    }
    Ok(engine)
}

/// What the adapter can do, and who says so, if anybody does.
pub fn rates(adapter: &Adapter) -> (Option<Profile>, Option<&'static str>) {
    match (calibrate::remembered(adapter), bundled::of_adapter(adapter)) {
        (Some(profile), _) => (Some(profile), Some("calibrated")),
        (None, (profile, true)) => (Some(profile), Some("published")),
        (None, (_, false)) => (None, None),
    }
}

struct Bench<'a> {
    handle: GpuHandle,
    info: ModelInfo,
    /// Of the device, if one is known.
    profile: Option<Profile>,
    shape: &'a Shape,
    seen: &'a Seen,
    runs: u32,
    n_tokens: u32,
}

/// An answer, timed from outside.
struct Answer {
    /// From the request to its first id.
    first_token: Duration,
    /// To its end.
    whole: Duration,
    stats: GenerateStats,
}

impl Bench<'_> {
    fn request(&self, tokens: std::sync::Arc<[u32]>, max_new_tokens: u32) -> GenerateRequest {
        GenerateRequest {
            model: self.info.id,
            sequence: None,
            tokens,
            media: Vec::new(),
            sampling: Sampling::default(),
            max_new_tokens,
            // No id is this one: random weights must not end an answer early.
            stop_ids: vec![u32::MAX],
            thinking: None,
        }
    }

    /// The least time that these plans need on this device, of the seconds that they took.
    fn share(&self, plans: &[(&PlanCost, usize)], took_s: f64) -> Option<f64> {
        let profile = self.profile.as_ref()?;
        let least: f64 = plans.iter().map(|(plan, n_cached)| plan.least_s(profile, *n_cached)).sum();
        (least > 0.0 && took_s > 0.0).then(|| least / took_s)
    }

    async fn answer(&self, request: GenerateRequest) -> Result<Answer> {
        let started = Instant::now();
        let events = self.handle.generate(request).await?;
        let mut first_token = None;
        loop {
            match next(&events).await? {
                GenerateEvent::Prefill { .. } => {}
                GenerateEvent::Tokens { .. } => drop(first_token.get_or_insert(started.elapsed())),
                GenerateEvent::Finished { stats, .. } => {
                    let whole = started.elapsed();
                    return Ok(Answer {
                        first_token: first_token.context("an answer had no token")?,
                        whole,
                        stats,
                    });
                }
            }
        }
    }

    /// Answers behind `context` tokens; the same prompt each time, so that only its last token is fed again.
    async fn decode(&self, context: usize) -> Result<Decode> {
        let prompt = self.shape.prompt(context.max(1), 1);
        let answer = async || self.answer(self.request(prompt.clone(), self.n_tokens)).await;
        let started = Instant::now();
        answer().await?;
        while started.elapsed() < WARM_UP {
            answer().await?;
        }
        let (before, cpu_before) = (self.seen.counts(), processor_time());
        let mut steps_us = Vec::new();
        for _ in 0..self.runs {
            let stats = answer().await?.stats;
            let n = stats.new_tokens.saturating_sub(1).max(1);
            steps_us.push(stats.decode_s * 1e6 / n as f64);
        }
        let (after, cpu_after) = (self.seen.counts(), processor_time());
        let n_steps = f64::from(self.runs * self.n_tokens.saturating_sub(1).max(1));
        let step_us = median(&steps_us);
        let plan = after.plans.get("decode").cloned().unwrap_or_default();
        let middle = context + self.n_tokens as usize / 2;
        Ok(Decode {
            context,
            tokens_per_s: 1e6 / step_us.max(1e-3),
            step_us,
            step_us_runs: steps_us,
            cpu_us_a_step: cpu_before
                .zip(cpu_after)
                .map(|(before, after)| after.saturating_sub(before).as_secs_f64() * 1e6 / n_steps),
            encode_us_a_step: (after.playing - before.playing).as_secs_f64() * 1e6 / n_steps,
            made_in_loop: after.created + after.prepared - before.created - before.prepared,
            bytes_a_step: plan.bytes(middle),
            gb_s: plan.bytes(middle) as f64 / step_us.max(1e-3) / 1e3,
            share_of_roofline: self.share(&[(&plan, middle)], step_us / 1e6),
        })
    }

    /// Prompts that share nothing.
    async fn prefill(&self, length: usize) -> Result<Prefill> {
        let length = length.max(1);
        let answer = async |salt| self.answer(self.request(self.shape.prompt(length, salt), 1)).await;
        let started = Instant::now();
        let mut salt = 100;
        answer(salt).await?;
        while started.elapsed() < WARM_UP {
            salt += 1;
            answer(salt).await?;
        }
        let (mut times, mut first) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            salt += 1;
            let answer = answer(salt).await?;
            times.push(answer.stats.prefill_s * 1e3);
            first.push(answer.first_token.as_secs_f64() * 1e3);
        }
        let ms = median(&times);
        let plans = self.seen.counts().plans;
        let mut at = 0;
        let mut chunks = Vec::new();
        for (bucket, tokens) in buckets(length) {
            chunks.extend(plans.get(&format!("prefill {bucket}")).map(|plan| (plan, at)));
            at += tokens;
        }
        let operations: u64 = chunks.iter().map(|(plan, at)| plan.operations(*at)).sum();
        Ok(Prefill {
            length,
            tokens_per_s: length as f64 * 1e3 / ms.max(1e-6),
            ms,
            ms_runs: times,
            first_token_ms: median(&first),
            operations,
            tera_ops_s: operations as f64 / ms.max(1e-6) / 1e9,
            share_of_roofline: self.share(&chunks, ms / 1e3),
        })
    }

    /// The tower alone, and an answer about a new picture.
    async fn image(&self, (width, height): (usize, usize)) -> Result<Image> {
        // The first compiles, with the adapter idle: it warms nothing up.
        self.describe((width, height), 1).await?;
        let started = Instant::now();
        let mut salt = 2;
        while salt < 4 || started.elapsed() < WARM_UP {
            self.describe((width, height), salt).await?;
            salt += 1;
        }
        let (mut encode, mut first) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            salt += 1;
            let (encoded, whole) = self.describe((width, height), salt).await?;
            encode.push(encoded.as_secs_f64() * 1e3);
            first.push(whole.as_secs_f64() * 1e3);
        }
        let ms = median(&encode);
        let plans = self.seen.counts().plans;
        let (columns, rows) = (width / self.info.patch_size, height / self.info.patch_size);
        let plan = plans.get(&format!("image {columns}x{rows}")).cloned().unwrap_or_default();
        Ok(Image {
            width,
            height,
            tokens: width * height / 1024,
            encode_ms: ms,
            encode_ms_runs: encode,
            first_token_ms: median(&first),
            operations: plan.operations(0),
            tera_ops_s: plan.operations(0) as f64 / ms.max(1e-6) / 1e9,
            share_of_roofline: self.share(&[(&plan, 0)], ms / 1e3),
        })
    }

    /// How long the tower took, and how long it was until the first word about the picture.
    async fn describe(&self, (width, height): (usize, usize), salt: u32) -> Result<(Duration, Duration)> {
        let started = Instant::now();
        let request = EncodeRequest {
            model: self.info.id,
            frames: (0..3 * width * height).map(|i| (i * 7 + salt as usize) as u8).collect(),
            n_frames: 1,
            height,
            width,
        };
        let made = started.elapsed();
        let features: FeatureHandle = self.handle.encode(request).await?;
        let encoded = started.elapsed() - made;
        let n_pads = width * height / 1024;
        let words = self.shape.prompt(WORDS, salt);
        let pads = std::iter::repeat_n(self.info.image_token_id, n_pads);
        let tokens = words[..WORDS / 2].iter().copied().chain(pads);
        let mut request = self.request(tokens.chain(words[WORDS / 2..].iter().copied()).collect(), 1);
        request.media = vec![(WORDS / 2, features)];
        let answer = self.answer(request).await?;
        Ok((encoded, encoded + answer.first_token))
    }

    /// Drops an answer's receiver while steps are in flight, and asks the next question at once.
    async fn cancel(&self, context: usize) -> Result<Cancel> {
        let prompt = self.shape.prompt(context.max(1), 1);
        let next_answer = async || self.answer(self.request(prompt.clone(), 1)).await;
        next_answer().await?;
        let (mut idle, mut behind) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            idle.push(next_answer().await?.whole.as_secs_f64() * 1e3);
            let request = self.request(prompt.clone(), self.n_tokens.max(64));
            let events = self.handle.generate(request).await?;
            let mut seen = 0;
            while seen < TOKENS_BEFORE_CANCEL {
                match next(&events).await? {
                    GenerateEvent::Prefill { .. } => {}
                    GenerateEvent::Tokens { ids, .. } => seen += ids.len(),
                    GenerateEvent::Finished { .. } => bail!("an answer ended before it could be cancelled"),
                }
            }
            drop(events);
            behind.push(next_answer().await?.whole.as_secs_f64() * 1e3);
        }
        let mut in_prompt = Vec::new();
        for run in 0..self.runs {
            // Two chunks, which share nothing with what was fed before.
            let events = self
                .handle
                .generate(self.request(self.shape.prompt(2 * MAX_CHUNK, 9000 + run), 1))
                .await?;
            while !matches!(next(&events).await?, GenerateEvent::Prefill { .. }) {}
            drop(events);
            in_prompt.push(next_answer().await?.whole.as_secs_f64() * 1e3);
        }
        let (idle_ms, behind_ms) = (median(&idle), median(&behind));
        Ok(Cancel {
            cancel_in_prompt_ms: (median(&in_prompt) - idle_ms).max(0.0),
            next_answer_when_idle_ms: idle_ms,
            next_answer_after_cancel_ms: behind_ms,
            cancel_ms: (behind_ms - idle_ms).max(0.0),
        })
    }
}

async fn next(events: &Receiver<gpu::Result<GenerateEvent>>) -> Result<GenerateEvent> {
    Ok(events.recv().await.context("the engine's actor has ended")??)
}
