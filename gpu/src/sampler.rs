//! How a token is chosen from logits: the settings, and the formula that `Op::Sample` follows on every engine.
//!
//! With `l` the logits `[V]` and `s` the [`crate::engine::State`]:
//! 1. If `s.n_tokens == 0` (nothing was fed: the answer is done), nothing changes.
//! 2. Penalties, for ids with `seen > 0`: `l = l > 0 ? l / repetition : l · repetition`, then `l −= presence`.
//! 3. `temperature == 0`: the id of the largest `l`, the lowest id on a tie. Otherwise `l' = l / temperature` and, in this
//!    order, each on what is left: `top_k` keeps ids whose `l'` is at least the k-th largest; `top_p` keeps the smallest
//!    set of the most probable ids whose probabilities (softmax over what is left) reach `top_p`, and ids that tie with
//!    its last; `min_p` keeps ids with a probability of at least `min_p` times the largest. One is drawn by walking the
//!    ids upwards until their cumulated weight exceeds `u · total`, `u = uniform(s.seed, s.step)` of [`uniform`].
//! 4. If a thought is open (`s.think_left != NO_THOUGHT`) and `s.think_left == 0`, the id is `s.think_end` instead.
//!    If the id is `s.think_end`, the thought is closed (`s.think_left = NO_THOUGHT`), else `s.think_left −= 1` while open.
//! 5. The log-probability reported is `l[id] − ln Σ exp(l)`, after penalties and before the temperature.
//! 6. `seen[id] += 1`; `ring[s.step % ring_len] = (id, logprob)`; `ids[0] = id`; `pos[0..3] = s.position`;
//!    `s.kv_len += s.n_tokens`; `s.position += 1`; `s.step += 1`; `s.last_id = id`;
//!    `s.done = id is a stop id, or s.step >= s.max_steps`; `s.n_tokens = s.done ? 0 : 1`.

use bytemuck::{Pod, Zeroable};

/// Stop ids that fit in [`SamplingWords`].
pub const MAX_STOP: usize = 8;

/// Settings of one answer. The default is greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 keeps all.
    pub top_k: u32,
    /// 1 keeps all.
    pub top_p: f32,
    /// 0 keeps all.
    pub min_p: f32,
    /// 1 changes nothing.
    pub repetition_penalty: f32,
    /// 0 changes nothing.
    pub presence_penalty: f32,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            seed: 0,
        }
    }
}

/// [`Sampling`] and the stop ids as the engine reads them.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SamplingWords {
    pub temperature: f32,
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    pub repetition_penalty: f32,
    pub presence_penalty: f32,
    pub n_stop: u32,
    pub pad: u32,
    pub stop: [u32; MAX_STOP],
}

/// A number in `[0, 1)` for step `step` of an answer: 24 bits of a PCG hash, the same on every engine.
pub fn uniform(seed: [u32; 2], step: u32) -> f32 {
    let hash = pcg(seed[0] ^ pcg(seed[1] ^ pcg(step)));
    (hash >> 8) as f32 / 16_777_216.0
}

/// Source: Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020 (pcg).
pub fn pcg(input: u32) -> u32 {
    let state = input.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}
