//! What `qwglm bench --shape` found, as a table and as JSON.

use anyhow::Result;
use serde::Serialize;

use super::machine::Machine;

/// Everything; times are medians of `runs`.
#[derive(Debug, Serialize)]
pub struct Measured {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub bench: &'static str,
    #[serde(flatten)]
    pub machine: Machine,
    pub shape: String,
    pub quant: &'static str,
    pub layers: usize,
    pub runs: u32,
    /// Whose rates the shares of the roofline are of: this adapter's as `calibrated`, or as `published`.
    pub roofline: Option<&'static str>,
    pub load_s: f64,
    pub weight_bytes: u64,
    pub cache_bytes: u64,
    /// On the engine at the end: weights, cache, temporaries.
    pub memory_bytes: u64,
    /// Of a decode step; 0 on engines that have no plan.
    pub dispatches: usize,
    pub dispatches_a_layer: usize,
    pub decode: Vec<Decode>,
    pub prefill: Vec<Prefill>,
    pub images: Vec<Image>,
    pub cancel: Option<Cancel>,
}

/// Answers behind some tokens.
#[derive(Debug, Serialize)]
pub struct Decode {
    pub context: usize,
    pub tokens_per_s: f64,
    pub step_us: f64,
    pub step_us_runs: Vec<f64>,
    /// Of the processor, all threads together (where a program plays the GPU, that too).
    pub cpu_us_a_step: Option<f64>,
    /// Of it, inside the engine to encode and submit.
    pub encode_us_a_step: f64,
    /// Tensors and recordings that were made while answers went on; 0 is right.
    pub made_in_loop: u64,
    /// That memory has to move, by the plan.
    pub bytes_a_step: u64,
    pub gb_s: f64,
    /// The time that bytes and operations need at the measured rates, of the time it took.
    pub share_of_roofline: Option<f64>,
}

/// New prompts.
#[derive(Debug, Serialize)]
pub struct Prefill {
    pub length: usize,
    pub tokens_per_s: f64,
    /// Until the first id, as the actor has it.
    pub ms: f64,
    pub ms_runs: Vec<f64>,
    /// Until the first id, as who asks has it.
    pub first_token_ms: f64,
    pub operations: u64,
    pub tera_ops_s: f64,
    pub share_of_roofline: Option<f64>,
}

/// New pictures.
#[derive(Debug, Serialize)]
pub struct Image {
    pub width: usize,
    pub height: usize,
    pub tokens: usize,
    /// Upload and vision tower.
    pub encode_ms: f64,
    pub encode_ms_runs: Vec<f64>,
    /// From the pixels to the first id of an answer.
    pub first_token_ms: f64,
    pub operations: u64,
    pub tera_ops_s: f64,
    pub share_of_roofline: Option<f64>,
}

/// An answer that nobody wants any more, with steps in flight.
#[derive(Debug, Serialize)]
pub struct Cancel {
    pub next_answer_when_idle_ms: f64,
    pub next_answer_after_cancel_ms: f64,
    /// The difference: until the engine is free.
    pub cancel_ms: f64,
    /// The same when the answer's prompt is still being fed.
    pub cancel_in_prompt_ms: f64,
}

impl Measured {
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    pub fn table(&self) -> String {
        let mib = |bytes: u64| bytes >> 20;
        let mut lines = vec![
            self.machine.line(),
            format!(
                "{}, {} layers, quant {}; medians of {}; roofline {}",
                self.shape,
                self.layers,
                self.quant,
                self.runs,
                self.roofline.unwrap_or("unknown (qwglm bench --calibrate)")
            ),
            format!(
                "loaded in {:.1} s: weights {} MiB, cache {} MiB, in all {} MiB; a step has {} dispatches, {} a layer",
                self.load_s,
                mib(self.weight_bytes),
                mib(self.cache_bytes),
                mib(self.memory_bytes),
                self.dispatches,
                self.dispatches_a_layer
            ),
        ];
        let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.0}%", 100.0 * share));
        if !self.decode.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "{:<14}{:>10}{:>12}{:>10}{:>12}{:>12}{:>10}",
                "decode behind", "tok/s", "step µs", "GB/s", "roofline", "CPU µs", "encode µs"
            ));
        }
        for row in &self.decode {
            let cpu = row.cpu_us_a_step.map_or("-".to_owned(), |us| format!("{us:.0}"));
            lines.push(format!(
                "{:<14}{:>10.1}{:>12.0}{:>10.1}{:>12}{:>12}{:>10.0}",
                row.context,
                row.tokens_per_s,
                row.step_us,
                row.gb_s,
                share(row.share_of_roofline),
                cpu,
                row.encode_us_a_step
            ));
            if row.made_in_loop > 0 {
                lines.push(format!("  {} tensors and recordings were made meanwhile", row.made_in_loop));
            }
        }
        if !self.prefill.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "{:<14}{:>10}{:>12}{:>10}{:>12}{:>16}",
                "prompt of", "tok/s", "ms", "Tops/s", "roofline", "first token ms"
            ));
        }
        for row in &self.prefill {
            lines.push(format!(
                "{:<14}{:>10.1}{:>12.1}{:>10.2}{:>12}{:>16.1}",
                row.length,
                row.tokens_per_s,
                row.ms,
                row.tera_ops_s,
                share(row.share_of_roofline),
                row.first_token_ms
            ));
        }
        if !self.images.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "{:<14}{:>10}{:>12}{:>10}{:>12}{:>16}",
                "picture of", "tokens", "tower ms", "Tops/s", "roofline", "first token ms"
            ));
        }
        for row in &self.images {
            lines.push(format!(
                "{:<14}{:>10}{:>12.1}{:>10.2}{:>12}{:>16.1}",
                format!("{}x{}", row.width, row.height),
                row.tokens,
                row.encode_ms,
                row.tera_ops_s,
                share(row.share_of_roofline),
                row.first_token_ms
            ));
        }
        if let Some(cancel) = &self.cancel {
            lines.push(String::new());
            lines.push(format!(
                "a cancel: the engine is free after {:.1} ms (the next answer takes {:.1} ms, {:.1} ms when idle)",
                cancel.cancel_ms, cancel.next_answer_after_cancel_ms, cancel.next_answer_when_idle_ms
            ));
            lines.push(format!(
                "in the middle of a prompt: after {:.1} ms",
                cancel.cancel_in_prompt_ms
            ));
        }
        lines.join("\n") + "\n"
    }
}
