//! `qwglm bench --shape parakeet-0.6b`: how fast a model of speech hears, through the actor that all utterances go through, in the
//! windows that they are cut into. Weights and sound are random: what is heard means nothing, and how many steps it takes is that of
//! durations drawn at random, two frames each.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use gpu::model::parakeet::published;
use gpu::protocol::speech::{Prediction, SpeechInfo, SpeechOptions, TranscribeRequest};
use gpu::protocol::{GpuHandle, Quant};
use serde::Serialize;
use sim::timing::Profile;

use super::args::BenchModelArgs;
use super::kernels::WARM_UP;
use super::machine::Machine;
use super::model::{rates, start};
use super::observed::Seen;
use super::{bits, median};
use crate::args::QuantArg;

/// Encoder frames of a window and of its context on each side, and mel frames of each, as `stages` cuts them.
const WINDOW: usize = 256;
const CONTEXT: usize = 50;
const SUBSAMPLING: usize = 8;
/// Milliseconds of an encoder frame.
const FRAME_MS: usize = 80;
/// Seconds of sound: a sentence, a minute, twenty minutes.
const SECONDS: [usize; 3] = [10, 60, 1200];
const SECONDS_IN_SOFTWARE: [usize; 1] = [10];
/// The same weights each time.
const SEED: u64 = 1;

/// Everything; times are medians of `runs`.
#[derive(Debug, Serialize)]
pub struct Measured {
    #[serde(rename = "type")]
    kind: &'static str,
    bench: &'static str,
    #[serde(flatten)]
    machine: Machine,
    shape: String,
    quant: &'static str,
    runs: u32,
    roofline: Option<&'static str>,
    load_s: f64,
    weight_bytes: u64,
    sounds: Vec<Sound>,
}

/// Sound of some length.
#[derive(Debug, Serialize)]
struct Sound {
    seconds: usize,
    windows: usize,
    steps: usize,
    took_s: f64,
    took_s_runs: Vec<f64>,
    /// How many times as fast as it is spoken.
    times_real_time: f64,
    /// The least time that the plans' bytes and operations need, of the time it took.
    share_of_roofline: Option<f64>,
}

/// Whether the shape is one of speech.
pub fn is_speech(shape: &str) -> bool {
    published::NAMES.contains(&shape)
}

/// Runs everything.
///
/// Errors: those of the engine.
pub async fn measure(args: &BenchModelArgs) -> Result<Measured> {
    let seen = Seen::default();
    let handle = start(&args.shape, args.engine, &seen).await?;
    let ended = handle.ended();
    let measured = measure_on(handle, args, &seen).await;
    // A driver that is at work must not be left behind.
    ended.wait().await;
    measured
}

async fn measure_on(handle: GpuHandle, args: &BenchModelArgs, seen: &Seen) -> Result<Measured> {
    let name = &args.shape.shape;
    let json = published::config_json(name).context("a shape of speech")?;
    let quant = match args.shape.quant {
        QuantArg::Q4 => Quant::Q4,
        QuantArg::Q8 => Quant::Q8,
        QuantArg::Dense => Quant::DenseF16,
    };
    let options = SpeechOptions {
        quant,
        max_mel: WINDOW * SUBSAMPLING,
    };
    let started = Instant::now();
    let weights = Arc::new(published::random(name, json, SEED)?);
    let info = handle.load_speech(weights, options, None).await?;
    let load_s = started.elapsed().as_secs_f64();
    let adapter = handle.stats().await?.adapter;
    let (profile, roofline) = rates(&adapter);
    let bench = Bench {
        handle,
        info,
        profile,
        seen,
        runs: args.shape.runs,
    };
    let lengths: &[usize] = match adapter.software || args.engine == super::args::Engine::Sim {
        true => &SECONDS_IN_SOFTWARE,
        false => &SECONDS,
    };
    let mut sounds = Vec::new();
    for &seconds in lengths {
        sounds.push(bench.sound(seconds).await?);
    }
    Ok(Measured {
        kind: "bench",
        bench: "speech",
        machine: Machine::new(&adapter),
        shape: name.clone(),
        quant: bits(args.shape.quant),
        runs: args.shape.runs,
        roofline,
        load_s,
        weight_bytes: bench.info.weight_bytes,
        sounds,
    })
}

struct Bench<'a> {
    handle: GpuHandle,
    info: SpeechInfo,
    profile: Option<Profile>,
    seen: &'a Seen,
    runs: u32,
}

/// A stretch of encoder frames, and which of them are decoded.
#[derive(Debug, PartialEq)]
struct Window {
    start: usize,
    len: usize,
    first: usize,
    end: usize,
}

/// Cuts sound of `n` encoder frames.
fn windows(n: usize) -> Vec<Window> {
    let (mut cut, mut start, mut first) = (Vec::new(), 0, 0);
    loop {
        let len = WINDOW.min(n - start);
        let is_last = start + len >= n;
        let end = if is_last { n } else { start + len - CONTEXT };
        cut.push(Window { start, len, first, end });
        if is_last {
            return cut;
        }
        first = end;
        start = end - CONTEXT;
    }
}

impl Bench<'_> {
    async fn sound(&self, seconds: usize) -> Result<Sound> {
        let windows = windows((seconds * 1000).div_ceil(FRAME_MS));
        let started = Instant::now();
        self.hear(&windows).await?;
        while started.elapsed() < WARM_UP {
            self.hear(&windows).await?;
        }
        let before = self.least_s();
        let (mut took, mut steps) = (Vec::new(), 0);
        for _ in 0..self.runs {
            let started = Instant::now();
            steps = self.hear(&windows).await?;
            took.push(started.elapsed().as_secs_f64());
        }
        let least_s = before
            .zip(self.least_s())
            .map(|(before, after)| (after - before) / f64::from(self.runs));
        let took_s = median(&took);
        Ok(Sound {
            seconds,
            windows: windows.len(),
            steps,
            took_s,
            took_s_runs: took,
            times_real_time: seconds as f64 / took_s.max(1e-9),
            share_of_roofline: least_s.map(|least_s| least_s / took_s.max(1e-9)),
        })
    }

    /// One window after the other, as they depend on each other; how many steps it took.
    async fn hear(&self, windows: &[Window]) -> Result<usize> {
        let (mut after, mut next, mut n_steps): (Option<Arc<Prediction>>, usize, usize) = (None, 0, 0);
        for window in windows {
            let n = window.len * SUBSAMPLING * self.info.n_mels;
            let value = |i: usize| ((i * 7919 + window.start * 31) % 2003) as f32 / 1001.5 - 1.0;
            let first = window.first.max(next).min(window.end);
            let request = TranscribeRequest {
                model: self.info.id,
                features: (0..n).map(value).collect(),
                first: (first - window.start) as u32,
                end: (window.end - window.start) as u32,
                after,
            };
            let heard = self.handle.transcribe(request).await?;
            next = heard
                .steps
                .last()
                .map_or(first, |step| window.start + step.next_frame as usize);
            n_steps += heard.steps.len();
            after = Some(heard.prediction);
        }
        Ok(n_steps)
    }

    /// What all that was played so far needs at least on this device.
    fn least_s(&self) -> Option<f64> {
        let profile = self.profile.as_ref()?;
        let counts = self.seen.counts();
        let of = |(name, &n): (&String, &u64)| {
            let plan = counts.plans.get(name)?;
            Some(plan.least_s(profile, 0) * n as f64 / plan.size.slices.max(1) as f64)
        };
        Some(counts.plays.iter().filter_map(of).sum())
    }
}

impl Measured {
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    pub fn table(&self) -> String {
        let mut text = format!(
            "{}\n{}, quant {}, loaded in {:.1} s, {} MiB; medians of {}\n\n{:>10}{:>10}{:>8}{:>12}{:>18}{:>12}\n",
            self.machine.line(),
            self.shape,
            self.quant,
            self.load_s,
            self.weight_bytes >> 20,
            self.runs,
            "sound",
            "windows",
            "steps",
            "took",
            "times real time",
            "roofline"
        );
        for sound in &self.sounds {
            let share = sound
                .share_of_roofline
                .map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0));
            let _ = writeln!(
                text,
                "{:>8} s{:>10}{:>8}{:>9.1} ms{:>18.0}{:>12}",
                sound.seconds,
                sound.windows,
                sound.steps,
                sound.took_s * 1e3,
                sound.times_real_time,
                share
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_decode_each_frame_once_with_context_around_it() {
        for n in [1, 125, 256, 257, 750, 15_000] {
            let cut = windows(n);
            assert_eq!((cut[0].start, cut[0].first), (0, 0));
            assert_eq!(cut.last().map(|window| window.end), Some(n));
            for (before, after) in cut.iter().zip(&cut[1..]) {
                assert_eq!(before.end, after.first);
                assert_eq!(after.first - after.start, CONTEXT);
                assert_eq!(before.start + before.len - before.end, CONTEXT);
            }
            assert!(
                cut.iter()
                    .all(|window| window.len <= WINDOW && window.end <= window.start + window.len)
            );
        }
        assert!(is_speech("parakeet-0.6b") && !is_speech("qwen3-vl-8b"));
    }
}
