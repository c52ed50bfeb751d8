//! The language model: recordings of a chunk of prompt, of its last row to a token, and of a decode step.
//! Source: qwen3-vl.md §6 of the reference; `transformers` `modeling_qwen3_vl.py`.
//!
//! Letters: `T` tokens, `D` hidden, `H` query heads, `K` kv heads, `E` head size, `F` feed-forward, `V` vocabulary.

use std::sync::Arc;

use super::config::TextConfig;
use crate::error::Result;
use crate::model::ops::{
    Linear, Norm, RopeTable, add, cached_attention, embed, linear, linear_into, masked_add, norm, overlay, rope, swiglu,
    take_last,
};
use crate::recording::{Buffer, KvLayer, Op, Recording, Sample};
use crate::tensor::{DType, TensorId};
use crate::weights::Weight;

/// The language model's weights.
#[derive(Clone, Debug)]
pub struct Text {
    pub config: TextConfig,
    pub embed_tokens: Arc<Weight>, // [V, D]
    pub layers: Vec<Layer>,
    pub norm: Norm,
    pub lm_head: Linear, // [V, D]; the embedding where tied
    pub rope: RopeTable,
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub input_layernorm: Norm,
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub q_norm: Norm,
    pub k_norm: Norm,
    pub o_proj: Linear,
    pub post_attention_layernorm: Norm,
    pub gate_proj: Linear,
    pub up_proj: Linear,
    pub down_proj: Linear,
}

/// The cache and the state of decoding, as tensors of the engine.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Keys and values of each layer, `[n_blocks, block, K, E]`.
    pub layers: Vec<(TensorId, TensorId)>,
    pub dtype: DType,
    pub n_blocks: usize,
    /// Tokens a block.
    pub block: usize,
    pub table: TensorId,    // [n_blocks] u32
    pub state: TensorId,    // State
    pub sampling: TensorId, // SamplingWords
    pub seen: TensorId,     // [V] u32
    pub ring: TensorId,     // [ring_len, 2] u32
    pub ring_len: usize,
    pub hidden: TensorId, // [1, D] f32: the last row of a prompt
}

/// Inputs of a chunk of `T` tokens.
#[derive(Clone, Debug)]
pub struct ChunkIo {
    pub n_tokens: usize,
    pub ids: TensorId, // [T] u32
    pub pos: TensorId, // [3, T] u32
    /// Embeddings that replace pads; `None` for text alone.
    pub media: Option<MediaIo>,
}

#[derive(Clone, Debug)]
pub struct MediaIo {
    pub mask: TensorId,           // [T] u32
    pub merged: TensorId,         // [T, D] f32
    pub deepstack: Vec<TensorId>, // each [T, D] f32
}

impl Text {
    /// A chunk of prompt: appends to the cache and leaves the last row in `memory.hidden`. Long ones are cut into slices.
    /// Taps are `lm.layer0.in` …, `lm.norm.in`; with `all_logits` also `lm.norm.out` and `prefill.logits` of all rows.
    pub fn record_chunk(&self, io: &ChunkIo, memory: &Memory, all_logits: bool) -> Result<Recording> {
        let media = if io.media.is_some() { " with media" } else { "" };
        let rec = &mut Recording::new(format!("prefill {}{media}", io.n_tokens));
        let state = rec.bind(memory.state, DType::U32, [STATE_WORDS]);
        let h = self.record_layers(rec, io, memory, state)?; // [T, D]
        let hidden = rec.bind(memory.hidden, DType::F32, [1, self.config.hidden_size]);
        take_last(rec, h, state, hidden)?;
        if all_logits {
            let h = norm(rec, h, &self.norm)?;
            rec.tap("lm.norm.out", h);
            let logits = linear(rec, h, &self.lm_head)?; // [T, V]
            rec.tap("prefill.logits", logits);
        }
        Ok(std::mem::take(rec))
    }

    /// From the last row of a prompt to its first token; `step` is where the next step reads it.
    pub fn record_head(&self, step: &ChunkIo, memory: &Memory) -> Result<Recording> {
        let rec = &mut Recording::new("first token");
        let state = rec.bind(memory.state, DType::U32, [STATE_WORDS]);
        let h = rec.bind(memory.hidden, DType::F32, [1, self.config.hidden_size]);
        self.record_token(rec, h, step, memory, state)?;
        Ok(std::mem::take(rec))
    }

    /// One decode step: feeds the last sampled id and samples the next.
    pub fn record_step(&self, step: &ChunkIo, memory: &Memory) -> Result<Recording> {
        let rec = &mut Recording::new("decode");
        let state = rec.bind(memory.state, DType::U32, [STATE_WORDS]);
        let h = self.record_layers(rec, step, memory, state)?; // [1, D]
        self.record_token(rec, h, step, memory, state)?;
        Ok(std::mem::take(rec))
    }

    fn record_layers(&self, rec: &mut Recording, io: &ChunkIo, memory: &Memory, state: Buffer) -> Result<Buffer> {
        let (c, n) = (&self.config, io.n_tokens);
        let (heads, kv_heads, head) = (c.num_attention_heads, c.num_key_value_heads, c.head_dim);
        let scale = (head as f32).powf(-0.5);
        let ids = rec.bind(io.ids, DType::U32, [n]);
        let pos = rec.bind(io.pos, DType::U32, [3, n]);
        let table = rec.bind(memory.table, DType::U32, [memory.n_blocks]);
        let media = io
            .media
            .as_ref()
            .map(|media| MediaBuffers::bind(rec, media, n, c.hidden_size));

        let slice_layers = self.layers.len().div_ceil(SLICES).max(1);
        let mut x = embed(rec, &self.embed_tokens, ids); // [T, D]
        if let Some(media) = &media {
            x = overlay(rec, x, media.merged, media.mask)?;
        }
        for (i, (layer, &(k_cache, v_cache))) in self.layers.iter().zip(&memory.layers).enumerate() {
            if n >= MIN_CUT && i > 0 && i % slice_layers == 0 {
                rec.cut();
            }
            rec.tap(format!("lm.layer{i}.in"), x);
            let shape = [memory.n_blocks, memory.block, kv_heads, head];
            let cache = KvLayer {
                k: rec.bind(k_cache, memory.dtype, shape),
                v: rec.bind(v_cache, memory.dtype, shape),
                table,
                block: memory.block,
                dtype: memory.dtype,
            };
            let h = norm(rec, x, &layer.input_layernorm)?; // [T, D]
            let q = linear(rec, h, &layer.q_proj)?; // [T, H·E]
            let k = linear(rec, h, &layer.k_proj)?; // [T, K·E]
            let v = linear(rec, h, &layer.v_proj)?;
            let q = rec.view(q, [n, heads, head])?;
            let k = rec.view(k, [n, kv_heads, head])?;
            let v = rec.view(v, [n, kv_heads, head])?;
            let q = norm(rec, q, &layer.q_norm)?; // per head
            let k = norm(rec, k, &layer.k_norm)?;
            let q = rope(rec, q, &self.rope, pos)?;
            let k = rope(rec, k, &self.rope, pos)?;
            let h = cached_attention(rec, q, k, v, cache, state, scale)?; // [T, H·E]
            let h = linear(rec, h, &layer.o_proj)?; // [T, D]
            x = add(rec, x, h)?;
            let h = norm(rec, x, &layer.post_attention_layernorm)?;
            let gate = linear(rec, h, &layer.gate_proj)?; // [T, F]
            let up = linear(rec, h, &layer.up_proj)?;
            let h = swiglu(rec, gate, up)?;
            let h = linear(rec, h, &layer.down_proj)?; // [T, D]
            x = add(rec, x, h)?;
            if let Some(media) = &media
                && let Some(&rows) = media.deepstack.get(i)
            {
                x = masked_add(rec, x, rows, media.mask)?;
            }
        }
        rec.tap("lm.norm.in", x);
        Ok(x)
    }

    /// Final norm, logits and the choice of a token; `h [1, D]`.
    fn record_token(&self, rec: &mut Recording, h: Buffer, step: &ChunkIo, memory: &Memory, state: Buffer) -> Result<()> {
        let h = norm(rec, h, &self.norm)?;
        let logits = rec.temp([1, self.config.vocab_size]);
        linear_into(rec, h, &self.lm_head, logits)?;
        rec.tap("logits", logits);
        let sample = Sample {
            logits,
            sampling: rec.bind(memory.sampling, DType::U32, [SAMPLING_WORDS]),
            state,
            seen: rec.bind(memory.seen, DType::U32, [self.config.vocab_size]),
            ids: rec.bind(step.ids, DType::U32, [1]),
            pos: rec.bind(step.pos, DType::U32, [3, 1]),
            ring: rec.bind(memory.ring, DType::U32, [memory.ring_len, 2]),
        };
        rec.ops.push(Op::Sample(sample));
        Ok(())
    }
}

/// Slices of a chunk, and tokens of the shortest chunk that is cut: an answer is cancelled between slices.
const SLICES: usize = 4;
const MIN_CUT: usize = 64;

const STATE_WORDS: usize = size_of::<crate::engine::State>() / 4;
const SAMPLING_WORDS: usize = size_of::<crate::sampler::SamplingWords>() / 4;

struct MediaBuffers {
    mask: Buffer,
    merged: Buffer,
    deepstack: Vec<Buffer>,
}

impl MediaBuffers {
    fn bind(rec: &mut Recording, io: &MediaIo, n: usize, width: usize) -> Self {
        Self {
            mask: rec.bind(io.mask, DType::U32, [n]),
            merged: rec.bind(io.merged, DType::F32, [n, width]),
            deepstack: io
                .deepstack
                .iter()
                .map(|&rows| rec.bind(rows, DType::F32, [n, width]))
                .collect(),
        }
    }
}
