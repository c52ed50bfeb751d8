//! `qwglm bench soak`: the sample recording in a loop, narrated live for an hour as `narrate --live` does it. Memory, latency and
//! CPU time of the last minute against those of the first five; fails where they grew beyond a stated bound.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::{Either, select};
use pipeline::packet::Body;
use pipeline::runtime::{Run, RunOptions};
use pipeline::time::Timestamp;
use toml_edit::Value;

use super::args::BenchSoakArgs;
use super::memory::{allocated_bytes, cpu_time, resident_bytes};
use crate::embedded::Recording;
use crate::graph_text::GraphText;
use crate::play::tap_texts;
use crate::setup::{Ready, set_up};
use crate::tape::With;

const FRAMES: &str = include_str!("../../../../configs/narrate.toml");
/// Models are loaded and pools fill: not measured.
const WARM_UP: Duration = Duration::from_secs(30);
const BEGINNING: Duration = Duration::from_secs(300);
const END: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// What is allocated and not freed may be that much more at the end.
const MAX_GROWTH_BYTES: f64 = (1 << 20) as f64;
/// Resident memory may be that much more at the end: it also holds what allocators keep of the moments when most threads were busy.
const MAX_RESIDENT_GROWTH_BYTES: f64 = 32.0 * (1 << 20) as f64;
/// The median latency may be that many times as long at the end: half again, since a machine has other work too.
const MAX_LATENCY_RATIO: f64 = 1.5;

/// What was seen in a part of the run.
#[derive(Clone, Debug, serde::Serialize)]
struct Part {
    from_s: f64,
    to_s: f64,
    narrations: usize,
    /// From a frame's capture until its last word.
    latency_p50_ms: f64,
    latency_p95_ms: f64,
    /// The mean of a sample a second; `null` where it cannot be measured, as the next.
    resident_bytes: Option<f64>,
    /// Not freed; a mean as well. `null` in a program without the feature `counted`.
    allocated_bytes: Option<f64>,
    /// Of all threads of the program: a measure that other programs do not disturb as much.
    cpu_s_per_narration: Option<f64>,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Soaked {
    #[serde(rename = "type")]
    kind: &'static str,
    bench: &'static str,
    elapsed_s: f64,
    frames: u64,
    narrations: usize,
    restarts: u64,
    dropped: u64,
    beginning: Part,
    end: Part,
    /// Each minute's mean resident and allocated bytes.
    minutes: Vec<(Option<f64>, Option<f64>)>,
}

/// At a moment.
struct State {
    time: Timestamp,
    resident_bytes: Option<u64>,
    allocated_bytes: Option<u64>,
    cpu: Option<Duration>,
}

#[derive(Default)]
struct Samples {
    /// When an answer was finished, and how long it took.
    answers: Vec<(Timestamp, Duration)>,
    states: Vec<State>,
}

/// Narrates for as long as is asked.
///
/// Errors: those of the set-up and of the run; a part without narrations.
pub async fn soak(args: &BenchSoakArgs) -> Result<Soaked> {
    let recording = Recording::open().context("the sample recording cannot be played")?;
    let mut text = text(&recording.folder, args)?;
    let tap = tap_texts(&mut text);
    let Ready {
        graph,
        registry,
        clock,
        mut channels,
        ..
    } = set_up(&text, false, &With::Nothing).await?;
    let texts = channels.remove(&tap).context("the graph has no words")?;
    let options = RunOptions {
        clock: clock.clone(),
        ..RunOptions::default()
    };
    let run = Run::start(&graph, &registry, options)?;
    drop(registry);
    let began = clock.now();
    let until = Timestamp(began.0 + WARM_UP + Duration::from_secs(60 * args.minutes));
    let mut samples = Samples::default();
    while clock.now() < until {
        let tick = std::pin::pin!(clock.sleep(SAMPLE_EVERY));
        let hear = async {
            while let Ok(packet) = texts.recv().await {
                let is_end = matches!(&packet.body, Body::Text(text) if text.finished.is_some() && !text.thought);
                if is_end {
                    let now = clock.now();
                    samples.answers.push((now, now.since(packet.pts)));
                }
            }
        };
        if let Either::Left(_) = select(std::pin::pin!(hear), tick).await {
            break;
        }
        samples.states.push(State {
            time: clock.now(),
            resident_bytes: resident_bytes(),
            allocated_bytes: allocated_bytes(),
            cpu: cpu_time(),
        });
        if samples.states.len().is_multiple_of(MINUTE.as_secs() as usize) {
            eprintln!("{}", samples.progress(began, args.minutes));
        }
    }
    let report = run.stop().await?;
    let measured = Timestamp(began.0 + WARM_UP);
    let part = |from: Timestamp, to: Timestamp| samples.part(from, to, began);
    Ok(Soaked {
        kind: "bench",
        bench: "soak",
        elapsed_s: clock.now().since(began).as_secs_f64(),
        frames: report.stages.first().map_or(0, |stage| stage.sent),
        narrations: samples.answers.len(),
        restarts: report.stages.iter().map(|stage| stage.restarts).sum(),
        dropped: report.links.iter().map(|link| link.counters.dropped).sum(),
        beginning: part(measured, Timestamp(measured.0 + BEGINNING))?,
        end: part(Timestamp(until.0.saturating_sub(END)), until)?,
        minutes: samples.minutes(measured, until),
    })
}

/// `narrate.toml` on the recording, over and over, at the pace of a screen.
fn text(folder: &Path, args: &BenchSoakArgs) -> Result<GraphText> {
    let mut text = GraphText::bundled("narrate.toml", FRAMES);
    text.set_engine_type(args.engine_type);
    let source = text.only_stage("capture.")?;
    let path = folder.to_string_lossy().into_owned();
    for (key, value) in [
        ("path", Value::from(path)),
        ("repeat", true.into()),
        ("realtime", true.into()),
    ] {
        text.set_in_stage(&source, key, value);
    }
    text.bound_inputs(&["vision.", "chat.", "tokens.encode", "llm.generate"], 1, "drop_oldest");
    for sink in text.stages_of(&["sink."]) {
        text.remove_stage(&sink);
    }
    Ok(text)
}

impl Samples {
    fn part(&self, from: Timestamp, to: Timestamp, began: Timestamp) -> Result<Part> {
        let is_inside = |time: Timestamp| from <= time && time < to;
        let answers = self.answers.iter().filter(|(time, _)| is_inside(*time));
        let mut latencies: Vec<f64> = answers.map(|(_, latency)| latency.as_secs_f64() * 1e3).collect();
        latencies.sort_by(f64::total_cmp);
        let n = latencies.len();
        let seconds = |time: Timestamp| time.since(began).as_secs_f64();
        if n == 0 {
            bail!("nothing was narrated between {:.0} s and {:.0} s", seconds(from), seconds(to));
        }
        let states: Vec<&State> = self.states.iter().filter(|state| is_inside(state.time)).collect();
        let cpu_at = |state: Option<&&State>| state.and_then(|state| state.cpu);
        let cpu = cpu_at(states.first()).zip(cpu_at(states.last()));
        Ok(Part {
            from_s: seconds(from),
            to_s: seconds(to),
            narrations: n,
            latency_p50_ms: latencies[n / 2],
            latency_p95_ms: latencies[(n * 95 / 100).min(n - 1)],
            resident_bytes: mean(states.iter().map(|state| state.resident_bytes)),
            allocated_bytes: mean(states.iter().map(|state| state.allocated_bytes)),
            cpu_s_per_narration: cpu.map(|(first, last)| (last - first).as_secs_f64() / n as f64),
        })
    }

    /// `12 of 60 minutes: 498 narrations, 180.31 MiB allocated, 221.00 MiB resident`
    fn progress(&self, began: Timestamp, minutes: u64) -> String {
        let last = self.states.last();
        let passed = last.map_or(0, |state| state.time.since(began).as_secs() / MINUTE.as_secs());
        format!(
            "{passed} of {minutes} minutes: {} narrations, {} allocated, {} resident",
            self.answers.len(),
            mib(last.and_then(|state| state.allocated_bytes).map(|bytes| bytes as f64)),
            mib(last.and_then(|state| state.resident_bytes).map(|bytes| bytes as f64))
        )
    }

    fn minutes(&self, from: Timestamp, to: Timestamp) -> Vec<(Option<f64>, Option<f64>)> {
        let n = to.since(from).as_secs() / MINUTE.as_secs();
        let minute = |index: u64| {
            let is_inside = |state: &&State| from <= state.time && state.time.since(from).as_secs() / MINUTE.as_secs() == index;
            let states = || self.states.iter().filter(is_inside);
            (
                mean(states().map(|state| state.resident_bytes)),
                mean(states().map(|state| state.allocated_bytes)),
            )
        };
        (0..n).map(minute).collect()
    }
}

fn mib(bytes: Option<f64>) -> String {
    bytes.map_or("? MiB".to_owned(), |n| format!("{:.2} MiB", n / (1 << 20) as f64))
}

/// `None` of nothing, and where one could not be measured.
fn mean(values: impl Iterator<Item = Option<u64>>) -> Option<f64> {
    let values: Vec<u64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<u64>() as f64 / values.len() as f64)
}

impl Soaked {
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn table(&self) -> String {
        let mut table = format!(
            "{:.0} s: {} frames, {} narrations, {} dropped, {} restarts\n",
            self.elapsed_s, self.frames, self.narrations, self.dropped, self.restarts
        );
        for (name, part) in [("first five minutes", &self.beginning), ("last minute", &self.end)] {
            let (resident, allocated) = (mib(part.resident_bytes), mib(part.allocated_bytes));
            let cpu = part.cpu_s_per_narration.map_or("?".to_owned(), |s| format!("{s:.2} s"));
            let _ = writeln!(
                table,
                "{name:<18}  {:>5} narrations  p50 {:>8.1} ms  p95 {:>8.1} ms  {allocated:>11} allocated  {resident:>11} resident  {cpu} of CPU a narration",
                part.narrations, part.latency_p50_ms, part.latency_p95_ms
            );
        }
        table
    }

    /// Errors: memory or latency grew beyond its bound.
    pub fn check(&self) -> Result<()> {
        let (first, last) = (&self.beginning, &self.end);
        for (what, before, after, bound) in [
            (
                "what is allocated",
                first.allocated_bytes,
                last.allocated_bytes,
                MAX_GROWTH_BYTES,
            ),
            (
                "resident memory",
                first.resident_bytes,
                last.resident_bytes,
                MAX_RESIDENT_GROWTH_BYTES,
            ),
        ] {
            let growth = before.zip(after).map_or(0.0, |(before, after)| after - before);
            ensure!(
                growth <= bound,
                "{what} grew by {:.1} MiB, at most {:.1} MiB are allowed",
                growth / (1 << 20) as f64,
                bound / (1 << 20) as f64
            );
        }
        let ratio = last.latency_p50_ms / first.latency_p50_ms;
        ensure!(
            ratio <= MAX_LATENCY_RATIO,
            "the median latency is {ratio:.2} times what it was, at most {MAX_LATENCY_RATIO} times are allowed"
        );
        Ok(())
    }
}
