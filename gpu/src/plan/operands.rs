//! Which buffers an operation reads and which it writes; weights are not buffers.

use crate::recording::{Buffer, Op};

/// Buffers whose contents matter to the operation.
pub fn reads(op: &Op) -> Vec<Buffer> {
    match op {
        Op::Linear { x, bias, .. } => [Some(*x), *bias].into_iter().flatten().collect(),
        Op::Add { a, b, .. } => vec![*a, *b],
        Op::RmsNorm { x, weight, .. } => vec![*x, *weight],
        Op::LayerNorm { x, weight, bias, .. } => vec![*x, *weight, *bias],
        Op::Gelu { x, .. } => vec![*x],
        Op::SwiGlu { gate, up, .. } => vec![*gate, *up],
        Op::Rope { x, table, map, pos, .. } => vec![*x, *table, *map, *pos],
        Op::Attention { q, k, v, .. } => vec![*q, *k, *v],
        Op::CachedAttention { q, cache, state, .. } => vec![*q, cache.k, cache.v, cache.table, *state],
        Op::KvAppend { k, v, cache, state } => vec![*k, *v, cache.table, *state],
        Op::Embed { ids, .. } => vec![*ids],
        Op::Overlay { x, rows, mask, .. } | Op::MaskedAdd { x, rows, mask, .. } => vec![*x, *rows, *mask],
        Op::TakeLast { x, state, .. } => vec![*x, *state],
        Op::Patchify { frames, .. } => vec![*frames],
        Op::GatherMix { table, index, mix, .. } => vec![*table, *index, *mix],
        Op::Sample(sample) => vec![sample.logits, sample.sampling, sample.state, sample.seen],
        Op::Quantize { src, .. } => vec![*src],
        Op::Speech(op) => op.reads(),
    }
}

/// Buffers that the operation writes or changes.
pub fn writes(op: &Op) -> Vec<Buffer> {
    match op {
        Op::Linear { y, .. }
        | Op::Add { y, .. }
        | Op::RmsNorm { y, .. }
        | Op::LayerNorm { y, .. }
        | Op::Gelu { y, .. }
        | Op::SwiGlu { y, .. }
        | Op::Rope { y, .. }
        | Op::Attention { y, .. }
        | Op::CachedAttention { y, .. }
        | Op::Embed { y, .. }
        | Op::Overlay { y, .. }
        | Op::MaskedAdd { y, .. }
        | Op::TakeLast { y, .. }
        | Op::Patchify { y, .. }
        | Op::GatherMix { y, .. } => vec![*y],
        Op::KvAppend { cache, .. } => vec![cache.k, cache.v],
        Op::Sample(sample) => vec![sample.state, sample.seen, sample.ids, sample.pos, sample.ring],
        Op::Quantize { packed, scales, .. } => [Some(*packed), *scales].into_iter().flatten().collect(),
        Op::Speech(op) => op.writes(),
    }
}
