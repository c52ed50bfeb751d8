//! How fast this adapter is in this browser: a published shape with random weights, through the actor that answers use.

use std::sync::Arc;

use gpu::actor::{self, Timing};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::model::qwen3_vl::published;
use gpu::model::qwen3_vl::random::RandomWeights;
use gpu::protocol::{GenerateEvent, GenerateRequest, GenerateStats, GpuHandle, LoadOptions, ModelId, Quant};
use gpu::sampler::Sampling;
use pipeline::time::Clock;
use pipeline::trace::TraceHandle;
use serde::{Deserialize, Serialize};

use app_web::run::{Error, Result};

/// What is to be measured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `pocket-vl`, or a published shape: `qwen3-vl-8b` …
    pub shape: String,
    /// 4, 8, or 0 for dense f16.
    pub quant: u8,
    /// Tokens in the prompt, one row a number.
    pub contexts: Vec<usize>,
    /// Tokens decoded a run.
    pub new_tokens: u32,
    /// Runs that are counted, after one that is not.
    pub runs: usize,
}

/// One row of the result.
#[derive(Debug, Serialize)]
struct Row {
    context_tokens: usize,
    /// Medians over the runs.
    decode_tokens_per_s: f64,
    prefill_tokens_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Measured {
    shape: String,
    quant: u8,
    adapter: String,
    driver: String,
    load_s: f64,
    weight_bytes: u64,
    rows: Vec<Row>,
}

/// The model that travels with the page, by its shape alone.
const POCKET: &str = "pocket-vl";

fn config_json(shape: &str) -> Option<&'static str> {
    match shape {
        POCKET => Some(include_str!("../../../../models/pocket-vl/config.json")),
        _ => published::config_json(shape),
    }
}

/// Loads the shape and measures it; the result as JSON.
///
/// Errors: a request that asks for what there is not; those of the engine.
pub async fn run(request: &str, tell: &dyn Fn(&str)) -> Result<String> {
    let request: Request = serde_json::from_str(request)?;
    let quant = match request.quant {
        4 => Quant::Q4,
        8 => Quant::Q8,
        0 => Quant::DenseF16,
        quant => return Err(Error::Quant { quant }),
    };
    let config = config_json(&request.shape).ok_or_else(|| Error::Shape {
        name: request.shape.clone(),
        known: [&[POCKET], &published::NAMES[..]].concat().join(", "),
    })?;
    let clock = Clock::new();
    let timing = Timing {
        clock: clock.clone(),
        trace: TraceHandle::off(),
    };
    let engine = actor::start("engine", timing, || WgpuEngine::new(AdapterChoice::default())).await?;
    let adapter = engine.stats().await?.adapter;
    tell(&format!("{} ({})", adapter.name, adapter.driver));
    let source = Arc::new(RandomWeights::new(&request.shape, config, quant, 1)?);
    let longest = request.contexts.iter().max().copied().unwrap_or(0);
    let options = LoadOptions {
        quant,
        context_tokens: longest + request.new_tokens as usize + 64,
        kv_f16: true,
    };
    let start = clock.now();
    let model = engine.load(source, options, None).await?;
    let load_s = clock.now().since(start).as_secs_f64();
    tell(&format!("{} bytes of weights in {load_s:.1} s", model.weight_bytes));
    let mut rows = Vec::new();
    for &context_tokens in &request.contexts {
        let mut decode = Vec::new();
        let mut prefill = Vec::new();
        for run in 0..=request.runs {
            let stats = answer(&engine, model.id, context_tokens, request.new_tokens, run as u32).await?;
            if run > 0 {
                decode.push(f64::from(request.new_tokens.saturating_sub(1)) / stats.decode_s);
                prefill.push((stats.prompt_tokens - stats.reused_tokens) as f64 / stats.prefill_s);
            }
        }
        let row = Row {
            context_tokens,
            decode_tokens_per_s: median(decode),
            prefill_tokens_per_s: median(prefill),
        };
        tell(&format!(
            "context {context_tokens}: decode {:.1} tokens a second, prefill {:.0}",
            row.decode_tokens_per_s, row.prefill_tokens_per_s
        ));
        rows.push(row);
    }
    let measured = Measured {
        shape: request.shape,
        quant: request.quant,
        adapter: adapter.name,
        driver: adapter.driver,
        load_s,
        weight_bytes: model.weight_bytes,
        rows,
    };
    Ok(serde_json::to_string(&measured)?)
}

/// One answer of exactly `new_tokens` to a prompt that shares nothing with the last one's.
async fn answer(engine: &GpuHandle, model: ModelId, context_tokens: usize, new_tokens: u32, salt: u32) -> Result<GenerateStats> {
    let tokens: Vec<u32> = (0..context_tokens.max(1) as u32)
        .map(|i| (i * 31 + salt * 977 + 7) % 50_000)
        .collect();
    let request = GenerateRequest {
        model,
        sequence: None,
        tokens: tokens.into(),
        media: Vec::new(),
        sampling: Sampling::default(),
        max_new_tokens: new_tokens,
        // No id that the vocabulary has: the answer goes on to its length.
        stop_ids: vec![u32::MAX],
        thinking: None,
    };
    let events = engine.generate(request).await?;
    while let Ok(event) = events.recv().await {
        if let GenerateEvent::Finished { stats, .. } = event? {
            return Ok(stats);
        }
    }
    Err(Error::CutShort)
}

/// 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
