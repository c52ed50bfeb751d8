//! Devices that are lost in the middle of a sentence, inside `configs/narrate.toml`: the sentences end with the same words.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::protocol::GpuHandle;
use pipeline::time::Clock;
use tests::faults::narrate::Bench;
use tests::faults::{Seen, Wrong};
use tests::flaky::{Fault, FaultPlan, Flaky};
use tests::{Kernels, sim_engine, start_in};

/// Narrates on the engine that `make` gives, and loses its device `n_losses` times, each in the middle of another sentence; what
/// the sinks wrote without and with that.
fn narrate(frames: Option<&Path>, n_losses: usize, make: impl Fn(&Clock, &FaultPlan) -> Result<GpuHandle>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let bench = Bench::prepared().await?;
        let mut files = Vec::new();
        for n_losses in [0, n_losses] {
            let (clock, plan, seen) = (Clock::new_virtual(), FaultPlan::default(), Seen::default());
            let engine = bench.load(make(&clock, &plan)?).await?;
            let (next, lost) = (plan.clone(), Arc::new(AtomicUsize::new(0)));
            seen.in_mid_sentence(move |answer| {
                // Once in each of the first answers.
                let is_due = answer < n_losses && lost.load(Ordering::SeqCst) == answer;
                if is_due {
                    lost.store(answer + 1, Ordering::SeqCst);
                    next.after(2, Fault::Lost);
                }
            });
            let played = bench.play_on(engine, clock, frames, Wrong::new(), &seen).await?;
            let report = played.ended.context("the run failed")?;
            let restarts: u64 = report.stages.iter().map(|stage| stage.restarts).sum();
            ensure!(restarts == 0, "no stage notices: {restarts} restarts");
            ensure!(
                plan.happened() == n_losses && plan.engines() == 1 + n_losses,
                "{} losses",
                plan.happened()
            );
            ensure!(seen.finished().len() >= n_losses.max(2), "{:?}", seen.finished());
            files.push(played.files);
        }
        ensure!(files[0] == files[1], "{:?} became {:?}", files[0]["jsonl"], files[1]["jsonl"]);
        Ok(())
    })
}

#[test]
fn a_simulated_device_lost_in_the_middle_of_a_sentence_changes_no_word_of_a_narration() -> Result<()> {
    narrate(None, 8, |clock, plan| {
        let plan = plan.clone();
        start_in(clock.clone(), move || {
            let engine = Flaky::new(sim_engine(Kernels::Fast), plan.clone());
            async { Ok(engine) }
        })
    })
}

/// The first frames of the recording, since a device that is a program takes its time.
#[test]
fn a_real_device_destroyed_in_the_middle_of_a_sentence_changes_no_word_of_a_narration() -> Result<()> {
    if tests::twin::gpu_engine().is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/recording");
    for name in ["000.png", "024.png"] {
        std::fs::copy(recording.join(name), folder.path().join(name))?;
    }
    narrate(Some(folder.path()), 2, |clock, plan| {
        let plan = plan.clone();
        start_in(clock.clone(), move || {
            let plan = plan.clone();
            async {
                let engine = WgpuEngine::new(AdapterChoice::default()).await?;
                Ok(Flaky::losing_with(engine, plan, WgpuEngine::destroy_device))
            }
        })
    })
}
