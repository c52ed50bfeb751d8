//! `configs/narrate.toml` on the bundled recording, every stage of which panics, fails and hangs at random moments, and its engine
//! with them: 300 runs with seeds. Each ends with whole files in which every narration stands once.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::faults::narrate::Outcome;

/// Runs of one process; two work side by side.
const N_RUNS: usize = 150;
/// Until every thread of the pools has been at work and every answer of the engine is remembered.
const WARM_UP: usize = 30;
/// What is allocated after a run may be that much more in the last tenth than after the warm-up (seen: up to 0.1 MiB, also with
/// busy processors): a leak of 10 kB a run would be more.
const MAX_GROWTH_BYTES: f64 = (1 << 20) as f64;

struct Ran {
    outcomes: Vec<Outcome>,
    allocated_bytes: Vec<u64>,
    /// What the terminal showed, by run: `undisturbed`, `seed N`.
    terminal: BTreeMap<String, String>,
}

/// Runs of a process of their own. Errors: any run was not as it should be.
fn faults(args: &[&str]) -> Result<Ran> {
    let output = Command::new(env!("CARGO_BIN_EXE_faults")).args(args).output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{}", stderr.lines().last().unwrap_or_default());
    let (mut outcomes, mut allocated_bytes) = (Vec::new(), Vec::new());
    for line in stderr.lines().filter(|line| line.starts_with('{')) {
        let mut object: serde_json::Value = serde_json::from_str(line)?;
        let bytes = object.as_object_mut().and_then(|object| object.remove("allocated_bytes"));
        allocated_bytes.extend(bytes.and_then(|bytes| bytes.as_u64()));
        outcomes.push(serde_json::from_value(object)?);
    }
    let mut terminal: BTreeMap<String, String> = BTreeMap::new();
    let mut run = String::new();
    for line in stdout.lines() {
        if line == "undisturbed" || line.starts_with("seed ") {
            line.clone_into(&mut run);
        } else {
            *terminal.entry(run.clone()).or_default() += &format!("{line}\n");
        }
    }
    Ok(Ran {
        outcomes,
        allocated_bytes,
        terminal,
    })
}

/// The terminal has each narration once as well.
fn check_terminal(ran: &Ran) -> Result<()> {
    let expected = &ran.terminal["undisturbed"];
    ensure!(expected.lines().count() >= 10, "{expected}");
    for outcome in &ran.outcomes {
        let shown = ran.terminal.get(&format!("seed {}", outcome.seed)).map_or("", String::as_str);
        let is_right = match outcome.ended_by {
            None => shown == expected,
            Some(_) => expected.starts_with(shown),
        };
        ensure!(is_right, "seed {}: the terminal shows\n{shown}", outcome.seed);
    }
    Ok(())
}

fn check_memory(ran: &Ran) -> Result<()> {
    let bytes = &ran.allocated_bytes;
    ensure!(bytes.len() == N_RUNS, "{} runs were measured", bytes.len());
    let tenth = N_RUNS / 10;
    let mean = |bytes: &[u64]| bytes.iter().sum::<u64>() as f64 / bytes.len() as f64;
    let (first, last) = (mean(&bytes[WARM_UP..WARM_UP + tenth]), mean(&bytes[N_RUNS - tenth..]));
    println!(
        "allocated: {:.2} MiB, then {:.2} MiB",
        first / (1 << 20) as f64,
        last / (1 << 20) as f64
    );
    ensure!(last - first <= MAX_GROWTH_BYTES, "memory grew from {first} to {last} bytes");
    Ok(())
}

#[test]
fn whatever_fails_in_narrate_toml_each_finished_narration_is_written_once() -> Result<()> {
    let n_runs = N_RUNS.to_string();
    let second = (1 + N_RUNS).to_string();
    let half = |first: String| {
        let n_runs = n_runs.clone();
        std::thread::spawn(move || faults(&[&first, &n_runs]))
    };
    let halves = [half("1".to_owned()), half(second)].map(|half| half.join().expect("it does not panic"));
    let mut outcomes = Vec::new();
    for (index, half) in halves.into_iter().enumerate() {
        let ran = half.with_context(|| format!("half {index}"))?;
        check_terminal(&ran)?;
        check_memory(&ran)?;
        outcomes.extend(ran.outcomes);
    }
    assert_eq!(outcomes.len(), 2 * N_RUNS);
    let happened = outcomes.iter().flat_map(|outcome| outcome.happened.clone());
    let kinds: BTreeSet<_> = happened.clone().collect();
    let stages: BTreeSet<_> = kinds.iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages.len(), 11, "all stages went wrong: {stages:?}");
    assert_eq!(kinds.len(), 3 * 11, "each in each way: {kinds:?}");
    let n_ended = outcomes.iter().filter(|outcome| outcome.ended_by.is_some()).count();
    assert!((20..=30).contains(&n_ended), "{n_ended} runs were past all help");
    let n_engine: u64 = outcomes.iter().map(|outcome| outcome.engine_faults).sum();
    let n_restarts: u64 = outcomes.iter().map(|outcome| outcome.restarts).sum();
    println!(
        "{} runs, {} faults of stages, {n_engine} of engines, {n_restarts} restarts, {n_ended} ended early",
        outcomes.len(),
        happened.count()
    );
    Ok(())
}
