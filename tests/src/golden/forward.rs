//! Runs a case through a [`Runner`] and collects everything that a golden file may expect.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::engine::{Engine, NO_THOUGHT, PreparedId, State};
use gpu::kv_cache::{KvCache, TokenKey};
use gpu::model::qwen3_vl::features::FeatureTensors;
use gpu::model::qwen3_vl::mrope::Positions;
use gpu::model::qwen3_vl::runner::{BLOCK, Feed, MediaRows, RING_LEN, Runner};
use gpu::sampler::{MAX_STOP, SamplingWords};

use super::media::Medium;

/// What a case feeds.
pub struct Inputs<'a> {
    pub ids: &'a [u32],
    /// In the prompt's order: first pads of each pass, and the medium.
    pub media: Vec<(Vec<usize>, &'a Medium)>,
    pub positions: &'a Positions,
    pub n_new: usize,
}

/// What came out, under the golden files' names.
#[derive(Default)]
pub struct Outputs {
    pub floats: BTreeMap<String, Vec<f32>>,
    pub tokens: Vec<u32>,
}

/// One prefill with all taps, then greedy decoding.
pub fn run<E: Engine>(engine: &mut E, runner: &mut Runner, inputs: &Inputs<'_>) -> Result<Outputs> {
    let mut outputs = Outputs::default();
    let mut features = Vec::new();
    for (first_pads, medium) in &inputs.media {
        for (&at, pass) in first_pads.iter().zip(&medium.passes) {
            features.push((at, encode(engine, runner, medium, pass, &mut outputs)?));
        }
    }
    features.sort_by_key(|(at, _)| *at);
    let n = inputs.ids.len();
    let mut cache = KvCache::new(runner.memory.n_blocks, BLOCK, 0);
    let sequence = cache.open();
    let copies = cache.reserve(sequence, n + inputs.n_new)?;
    runner.set_blocks(engine, cache.blocks(sequence)?, &copies)?;
    cache.push(sequence, &vec![TokenKey { id: 0, features: 0 }; n])?;
    runner.set_sampling(engine, &greedy(), &[])?;

    let feed = Feed {
        bucket: n,
        ids: inputs.ids,
        pos: [0, 1, 2].map(|axis| inputs.positions.axes[axis].as_slice()),
        media: features
            .iter()
            .map(|(at, features)| MediaRows {
                token: *at,
                features,
                row: 0,
                n: features.n_tokens,
            })
            .collect(),
        state: State {
            kv_len: 0,
            n_tokens: n as u32,
            position: inputs.positions.next,
            done: 0,
            step: 0,
            max_steps: inputs.n_new as u32 + 1,
            seed: [0; 2],
            last_id: 0,
            think_left: NO_THOUGHT,
            think_end: 0,
            pad: 0,
        },
    };
    let prefill = runner.feed(engine, &feed)?;
    for i in 0..runner.model.text.layers.len() {
        tap(engine, prefill, &format!("lm.layer{i}.in"), &mut outputs)?;
    }
    for name in ["lm.norm.in", "lm.norm.out", "prefill.logits"] {
        tap(engine, prefill, name, &mut outputs)?;
    }

    let (head, decode) = runner.prepared_steps();
    let mut logits = Vec::new();
    for step in 0..inputs.n_new {
        let played = if step == 0 { head } else { decode };
        if step == 0 {
            runner.first_token(engine)?
        } else {
            runner.steps(engine, 1)?
        }
        logits.extend(floats(&block_on(engine.read_tap(played, "logits"))?));
    }
    outputs.floats.insert("greedy.logits".into(), logits);
    let ring = block_on(engine.read(runner.memory.ring, 0, RING_LEN as u64 * 8))?;
    let words: Vec<u32> = ring.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
    outputs.tokens = (0..inputs.n_new).map(|step| words[2 * step]).collect();
    for (_, features) in features {
        features.free(engine);
    }
    Ok(outputs)
}

fn encode<E: Engine>(
    engine: &mut E,
    runner: &mut Runner,
    medium: &Medium,
    frames: &[u8],
    outputs: &mut Outputs,
) -> Result<FeatureTensors> {
    let kind = if medium.is_video { "video" } else { "image" };
    let n_frames = frames.len() / (medium.height * medium.width * 3);
    let pass = runner.begin_encode(engine, frames, n_frames, medium.height, medium.width, kind)?;
    (0..pass.n_slices).try_for_each(|slice| engine.play_slice(pass.prepared, slice))?;
    let config = runner.model.vision.config.clone();
    let mut names = vec![
        "pixel_values".to_owned(),
        "patch_embed".into(),
        "block0.in".into(),
        "merged".into(),
    ];
    names.extend((0..config.depth).map(|i| format!("block{i}.out")));
    names.extend((0..config.deepstack_visual_indexes.len()).map(|i| format!("deepstack{i}")));
    for name in names {
        tap(engine, pass.prepared, &format!("{kind}.{name}"), outputs)?;
    }
    Ok(runner.finish_encode(engine)?)
}

/// Reads a tap and appends it: passes of one kind follow each other in the golden files.
fn tap<E: Engine>(engine: &mut E, prepared: PreparedId, name: &str, outputs: &mut Outputs) -> Result<()> {
    let bytes = block_on(engine.read_tap(prepared, name)).with_context(|| format!("tap {name}"))?;
    outputs.floats.entry(name.to_owned()).or_default().extend(floats(&bytes));
    Ok(())
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))
}

fn greedy() -> SamplingWords {
    SamplingWords {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        n_stop: 0,
        pad: 0,
        stop: [u32::MAX; MAX_STOP],
    }
}
