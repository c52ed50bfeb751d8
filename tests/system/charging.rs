//! A simulated engine that stands for a GPU: the same words as ever, in the time that the plan would take there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::model::qwen3_vl::config::Config;
use gpu::protocol::{GenerateEvent, GenerateRequest, GenerateStats, GpuHandle, LoadOptions, Quant};
use gpu::sampler::Sampling;
use gpu::weights::source::Folder;
use pipeline::time::Clock;
use sim::timing::dry::{DryEngine, Plans};
use sim::timing::impossible::Switches;
use sim::timing::predict::Work;
use sim::timing::{Device, bundled};
use sim::{Kernels, SimEngine};
use tests::{sim_engine, start, start_in};

const N_NEW: u32 = 40;
const N_PROMPT: u32 = 50;

fn options() -> LoadOptions {
    LoadOptions {
        quant: Quant::Q8,
        context_tokens: 512,
        kv_f16: true,
    }
}

fn folder() -> Result<PathBuf> {
    goldens::folder("qwen3-vl-s1")
}

/// The ids of an answer, and its times as the actor had them.
fn answer(gpu: &GpuHandle) -> Result<(Vec<u32>, GenerateStats)> {
    let model = block_on(gpu.load(Arc::new(Folder::open(folder()?)?), options(), None))?;
    let request = |salt: u32, max_new_tokens| GenerateRequest {
        model: model.id,
        sequence: None,
        tokens: (salt..salt + N_PROMPT).map(|i| (i * 37 + i * i % 11) % 400).collect(),
        media: Vec::new(),
        sampling: Sampling::default(),
        max_new_tokens,
        stop_ids: vec![u32::MAX],
        thinking: None,
    };
    // The first answer of all also waits for the weights.
    told(gpu, request(7, 1))?;
    told(gpu, request(0, N_NEW))
}

fn told(gpu: &GpuHandle, request: GenerateRequest) -> Result<(Vec<u32>, GenerateStats)> {
    let events = block_on(gpu.generate(request))?;
    let mut ids = Vec::new();
    loop {
        match block_on(events.recv()).context("the answer broke off")?? {
            GenerateEvent::Tokens { ids: more, .. } => ids.extend(more),
            GenerateEvent::Prefill { .. } => {}
            GenerateEvent::Finished { stats, .. } => return Ok((ids, stats)),
        }
    }
}

fn charged(device: &Device, clock: Clock) -> Result<GpuHandle> {
    let device = device.clone();
    let of_engine = clock.clone();
    start_in(clock, move || {
        let engine = SimEngine::charging(Kernels::Fast, device.clone(), of_engine.clone());
        async { Ok(engine) }
    })
}

fn devices() -> Result<[Device; 3]> {
    let profile = |key: &str| bundled::find(key).cloned().context("a bundled profile");
    let card = profile("rtx-4090")?;
    Ok([
        Device::new(profile("iris-xe")?),
        Device::new(card.clone()),
        Switches::ON.over(&card),
    ])
}

#[test]
fn words_are_the_same_and_take_what_the_plan_takes() -> Result<()> {
    let (expected, _) = answer(&start(|| async { Ok(sim_engine(Kernels::Fast)) })?)?;
    let config = Config::from_json(&std::fs::read_to_string(folder()?.join("config.json"))?)?;
    let mut decode_s = Vec::new();
    for device in devices()? {
        let name = device.profile.name.clone();
        let (ids, stats) = answer(&charged(&device, Clock::new_virtual())?)?;
        assert_eq!(ids, expected, "{name}");
        let plans = Plans::make(
            DryEngine::of(&device.profile),
            &config,
            &options(),
            &[(N_PROMPT as usize, false)],
            &[],
        )?;
        let n_tokens = N_PROMPT as usize;
        let steps = (0..N_NEW as usize - 1).map(|i| plans.time(&device, Work::Step { n_cached: n_tokens + i }).total_s);
        let planned_s: f64 = steps.sum();
        // Each batch may wait for a submission; the first is one step alone.
        let submits_s = 12.0 * device.profile.launch.submit_us * 1e-6;
        let within = planned_s * 0.99..planned_s + submits_s;
        assert!(
            within.contains(&stats.decode_s),
            "{name}: {} is not in {within:?}",
            stats.decode_s
        );
        let prompt_s = plans.time(&device, Work::Prompt { n_tokens }).total_s;
        let within = prompt_s * 0.99..prompt_s * 1.1 + submits_s;
        assert!(
            within.contains(&stats.prefill_s),
            "{name}: {} is not in {within:?}",
            stats.prefill_s
        );
        decode_s.push(stats.decode_s);
    }
    assert!(decode_s[0] > decode_s[1] && decode_s[1] > decode_s[2], "{decode_s:?}");
    Ok(())
}

#[test]
fn in_real_time_nothing_is_waited_for() -> Result<()> {
    let [slow, ..] = devices()?;
    let mut slow = slow;
    slow.profile.launch.dispatch_us = 1e6;
    let started = Instant::now();
    let (ids, _) = answer(&charged(&slow, Clock::new())?)?;
    assert_eq!(ids.len(), N_NEW as usize);
    // A second a dispatch would be hours.
    assert!(started.elapsed().as_secs() < 100);
    Ok(())
}
