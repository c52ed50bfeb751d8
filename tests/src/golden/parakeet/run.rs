//! Runs a case through a [`Runner`]: every tap of the encoder, then the transducer, step by step and in one go.

use anyhow::{Context, Result, ensure};
use futures::executor::block_on;
use gpu::engine::Engine;
use gpu::model::parakeet::runner::{Prediction, RING_LEN, Runner, Step, steps_in};
use serde_json::Value;

use super::super::folder::Tensors;
use super::super::table::Row;
use super::{Case, Precision};

/// Encodes and decodes a case, and holds all that is expected of it.
pub fn case<E: Engine>(engine: &mut E, runner: &mut Runner, case: &Case, precision: Precision, row: &mut Row) -> Result<()> {
    let pass = runner.begin_encode(engine, &case.features)?;
    (0..pass.n_slices).try_for_each(|slice| engine.play_slice(pass.prepared, slice))?;
    for (name, expected) in &case.expected.floats {
        let name = name.strip_prefix("expect.").unwrap_or(name);
        if matches!(name, "features" | "logmel" | "preemph" | "logits" | "lstm_h" | "lstm_c") {
            continue;
        }
        let shape = &case.expected.shapes[&format!("expect.{name}")];
        let found = match name {
            "pos_emb" => middle(&runner.model.config, pass.n_rows, shape[0]),
            _ => {
                let bytes = block_on(engine.read_tap(pass.prepared, name)).with_context(|| format!("tap {name}"))?;
                rows_of(&bytemuck::pod_collect_to_vec::<u8, f32>(&bytes), pass.n_rows, shape)?
            }
        };
        // The reference goes on for a row of padding, in which it has no rule of its own: rows that count are compared.
        let counted = match *shape.as_slice() {
            [rows, width] if name != "pos_emb" => rows.min(pass.n_enc) * width,
            _ => expected.len(),
        };
        row.close(
            name,
            &found[..counted.min(found.len())],
            &expected[..counted],
            precision.encoder,
        );
    }
    let n_enc = pass.n_enc as u32;
    runner.begin_decode(engine, 0, n_enc, None)?;
    let (steps, logits) = one_by_one(engine, runner, n_enc)?;
    if let Some(expected) = case.expected.floats.get("expect.logits") {
        row.close("logits", &logits, expected, precision.decoder);
    }
    let prediction = block_on(runner.read_prediction(engine))?;
    let (h, c) = lstm(runner, &prediction);
    row.close("lstm_h", &h, case.expected.floats("expect.lstm_h")?, precision.decoder);
    row.close("lstm_c", &c, case.expected.floats("expect.lstm_c")?, precision.decoder);
    let trace: Vec<i64> = steps
        .iter()
        .flat_map(|step| [step.frame, step.id, step.duration].map(i64::from))
        .collect();
    row.equal("trace", &trace, case.expected.ints("expect.trace")?);
    tokens(runner, &steps, &case.expected, row)?;

    // All steps queued at once, in two halves of the frames: what is queued behind the end does nothing.
    let half = n_enc / 2;
    let mut found = Vec::new();
    runner.begin_decode(engine, 0, half, None)?;
    found.extend(in_one_go(engine, runner, half)?);
    let carried = block_on(runner.read_prediction(engine))?;
    let next = found.last().map_or(0, |step| step.next_frame);
    runner.begin_decode(engine, next, n_enc, Some(&carried))?;
    found.extend(in_one_go(engine, runner, n_enc)?);
    row.equal("steps of two halves", &found, &steps);
    row.equal(
        "prediction after two halves",
        &(block_on(runner.read_prediction(engine))? == prediction),
        &true,
    );
    Ok(())
}

/// The decoder alone, over given frames and with another bias, so that tokens stay at a frame until they are stopped.
pub fn guard<E: Engine>(engine: &mut E, runner: &Runner, given: &Tensors, meta: &Value, row: &mut Row) -> Result<()> {
    let enc = given.floats("enc_proj")?;
    let n_enc = (enc.len() / runner.model.config.joint_hidden_size) as u32;
    let bias = runner
        .model
        .decoder
        .joint_head
        .bias
        .context("the joint network has no bias")?;
    engine.write(runner.memory.enc, 0, bytemuck::cast_slice(enc))?;
    engine.write(bias, 0, bytemuck::cast_slice(given.floats("joint_bias")?))?;
    runner.begin_decode(engine, 0, n_enc, None)?;
    let (steps, _) = one_by_one(engine, runner, n_enc)?;
    tokens(runner, &steps, given, row)?;
    let blank = runner.model.config.blank_id();
    let is_token = |step: &&Step| step.id != blank;
    let guarded = |step: &&Step| is_token(step) && step.duration == 0 && step.next_frame > step.frame;
    let n_guards = steps.iter().filter(guarded).count() as i64;
    row.equal("guards", &vec![n_guards], given.ints("expect.guards")?);
    row.equal("meta.json's guards", &Some(n_guards), &meta["guards"].as_i64());
    let n_tokens = steps.iter().filter(is_token).count() as u64;
    row.equal("meta.json's tokens", &Some(n_tokens), &meta["tokens"].as_u64());
    Ok(())
}

fn tokens(runner: &Runner, steps: &[Step], expected: &Tensors, row: &mut Row) -> Result<()> {
    let blank = runner.model.config.blank_id();
    let of = |value: fn(&Step) -> u32| -> Vec<i64> {
        let tokens = steps.iter().filter(|step| step.id != blank);
        tokens.map(|step| value(step).into()).collect()
    };
    row.equal("tokens", &of(|step| step.id), expected.ints("expect.tokens")?);
    row.equal("start_frames", &of(|step| step.frame), expected.ints("expect.start_frames")?);
    row.equal("durations", &of(|step| step.duration), expected.ints("expect.durations")?);
    Ok(())
}

/// Steps until the frames are through, and the logits of each.
fn one_by_one<E: Engine>(engine: &mut E, runner: &Runner, end: u32) -> Result<(Vec<Step>, Vec<f32>)> {
    let (mut steps, mut logits) = (Vec::<Step>::new(), Vec::new());
    while steps.last().is_none_or(|step| step.next_frame < end) && end > 0 {
        ensure!(steps.len() < 11 * end as usize, "the transducer does not get on");
        runner.steps(engine, 1)?;
        let bytes = block_on(engine.read_tap(runner.prepared_step(), "logits"))?;
        logits.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
        let ring = block_on(runner.read_ring(engine))?;
        steps.extend(steps_in(&ring, steps.len(), 1)?);
    }
    Ok((steps, logits))
}

/// The steps to frame `end`, of many more that are queued.
fn in_one_go<E: Engine>(engine: &mut E, runner: &Runner, end: u32) -> Result<Vec<Step>> {
    runner.steps(engine, RING_LEN / 2)?;
    let ring = block_on(runner.read_ring(engine))?;
    let mut steps = steps_in(&ring, 0, RING_LEN / 2)?;
    let last = steps.iter().position(|step| step.next_frame >= end);
    steps.truncate(last.map_or(0, |last| last + 1));
    Ok(steps)
}

/// h and c of all layers.
fn lstm(runner: &Runner, prediction: &Prediction) -> (Vec<f32>, Vec<f32>) {
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(&prediction.values);
    let c = &runner.model.config;
    let layers = values.chunks_exact(2 * c.decoder_hidden_size).take(c.num_decoder_layers);
    let halves = layers.map(|layer| layer.split_at(c.decoder_hidden_size));
    let (h, c): (Vec<&[f32]>, Vec<&[f32]>) = halves.unzip();
    (h.concat(), c.concat())
}

/// Of a tap with `n_rows` rows the first, in the order that the reference has: channels first where there are three extents.
fn rows_of(values: &[f32], n_rows: usize, shape: &[usize]) -> Result<Vec<f32>> {
    match *shape {
        [rows, width] => {
            ensure!(values.len() == n_rows * width, "{} values for {shape:?}", values.len());
            Ok(values[..rows.min(n_rows) * width].to_vec())
        }
        [channels, rows, freqs] => {
            ensure!(
                values.len() >= channels * rows * freqs,
                "{} values for {shape:?}",
                values.len()
            );
            let at = |i: usize| {
                let (c, t, f) = (i / (rows * freqs), i / freqs % rows, i % freqs);
                values[(t * freqs + f) * channels + c]
            };
            Ok((0..channels * rows * freqs).map(at).collect())
        }
        _ => anyhow::bail!("{shape:?} has an unknown number of extents"),
    }
}

/// The distances that a shorter signal has, out of those of the bucket.
fn middle(config: &gpu::model::parakeet::config::Config, n_rows: usize, n_distances: usize) -> Vec<f32> {
    let table = gpu::model::parakeet::encoder::positions(n_rows, config.hidden_size);
    let first = n_rows - n_distances.div_ceil(2);
    table[first * config.hidden_size..(first + n_distances) * config.hidden_size].to_vec()
}
