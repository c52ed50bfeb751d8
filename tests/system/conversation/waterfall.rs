//! What a user waits for, from a run's trace: between the end of their speech and the first sound of the answer.

use anyhow::{Context, Result};
use serde::Deserialize;

/// The stages that a turn goes through, in order: when each one takes up its first packet of the turn is a moment.
const STAGES: [&str; 6] = ["talk", "tokens", "generate", "words", "voice", "speaker"];

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Slice>,
}

#[derive(Deserialize)]
struct Slice {
    ph: String,
    name: String,
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    turn: Option<u64>,
    pts_ms: Option<f64>,
}

/// How long each part took, in seconds: the end of the turn to be known, then each stage up to the next.
#[derive(Debug)]
pub struct Waterfall {
    pub parts: Vec<(&'static str, f64)>,
    /// When the user's speech ended.
    pub end: f64,
}

impl Waterfall {
    /// When the last part ends.
    pub fn sounds_at(&self) -> f64 {
        self.end + self.parts.iter().map(|part| part.1).sum::<f64>()
    }
}

/// The waterfall of a turn.
///
/// Errors: a stage had no packet of it.
pub fn waterfall(trace: &str, turn: u64) -> Result<Waterfall> {
    let trace: Trace = serde_json::from_str(trace)?;
    let first = |stage: &str| {
        let is_it = |slice: &&Slice| slice.ph == "X" && slice.name == stage && slice.args.turn == Some(turn);
        let slices = trace.events.iter().filter(is_it);
        slices
            .min_by(|a, b| a.ts.total_cmp(&b.ts))
            .with_context(|| format!("{stage} had nothing of turn {turn}"))
    };
    let end = first(STAGES[0])?.args.pts_ms.context("a packet has a time")? / 1e3;
    let mut before = end;
    let mut parts = Vec::new();
    for stage in STAGES {
        let at = first(stage)?.ts / 1e6;
        parts.push((stage, at - before));
        before = at;
    }
    Ok(Waterfall { parts, end })
}
