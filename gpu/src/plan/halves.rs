//! What many rows are multiplied with by cooperative matrices: which linear layers, which buffers between kernels are in f16
//! for that, and which pairs of layers become one kernel with the SwiGLU behind them.

use std::collections::{BTreeMap, BTreeSet};

use super::fuse::Fusions;
use super::operands::{reads, writes};
use super::variants::{Product, Softmax, Variants};
use crate::kernel::attention_coop::MAX_E;
use crate::kernel::matvec::MAX_T;
use crate::recording::{Buffer, Op, Place, Recording};
use crate::weights::{Format, Weight};

/// See the file's head.
#[derive(Debug, Default)]
pub struct Halves {
    /// Roots that hold f16.
    pub buffers: BTreeSet<Buffer>,
    /// By the operation of a SwiGLU those of its gate and of its up.
    pub pairs: BTreeMap<usize, [usize; 2]>,
    /// Linear layers that run as part of a pair.
    pub moved: BTreeSet<usize>,
}

/// Whether a linear layer of `t` rows runs on cooperative matrices.
pub fn is_coop(weight: &Weight, t: usize, variants: &Variants) -> bool {
    let fours = weight.n.is_multiple_of(4) && weight.k.is_multiple_of(4) && weight.k > 0;
    let parts = weight
        .parts
        .iter()
        .all(|part| part.n_rows.is_multiple_of(4) && part.first_row.is_multiple_of(4));
    variants.matmul == Product::Coop && t > MAX_T && weight.format != Format::F32 && fours && parts
}

/// Looks a recording through.
pub fn find(recording: &Recording, variants: &Variants, fusions: &Fusions) -> Halves {
    let mut halves = Halves::default();
    if variants.matmul != Product::Coop {
        return halves;
    }
    let readers = readers(recording);
    let tapped: BTreeSet<Buffer> = match recording.keep_taps {
        true => recording.taps.values().map(|&tap| recording.root(tap)).collect(),
        false => BTreeSet::new(),
    };
    let inner = |buffer: Buffer| {
        let root = recording.root(buffer);
        matches!(recording.info(root).place, Place::Temp) && !tapped.contains(&root)
    };
    let coop = |op: &Op| match op {
        Op::Linear { x, weight, .. } => is_coop(weight, recording.shape(*x).rows(), variants),
        _ => false,
    };
    for slice in recording.slices() {
        for idx in slice.clone() {
            let Op::SwiGlu { gate, up, .. } = &recording.ops[idx] else {
                continue;
            };
            let only = |buffer: Buffer| {
                let read = readers.get(&recording.root(buffer)).map(Vec::as_slice);
                inner(buffer) && read == Some(&[idx][..])
            };
            let writer = |buffer: Buffer| {
                let root = recording.root(buffer);
                slice.clone().find(|&i| i < idx && writes(&recording.ops[i]).contains(&root))
            };
            let (Some(gate_idx), Some(up_idx)) = (writer(*gate), writer(*up)) else {
                continue;
            };
            let (gate_op, up_op) = (&recording.ops[gate_idx], &recording.ops[up_idx]);
            if only(*gate) && only(*up) && coop(gate_op) && coop(up_op) && alike(recording, gate_op, up_op) {
                halves.pairs.insert(idx, [gate_idx, up_idx]);
                halves.moved.extend([gate_idx, up_idx]);
            }
        }
    }
    for (idx, op) in recording.ops.iter().enumerate() {
        let written = match op {
            Op::RmsNorm { x, y, .. } | Op::LayerNorm { x, y, .. } if recording.shape(*x).last().is_multiple_of(4) => *y,
            Op::SwiGlu { y, .. } if halves.pairs.contains_key(&idx) => *y,
            Op::Gelu { y, .. } => match fusions.by_tail_idx.get(&idx) {
                Some(fused) if coop(&recording.ops[fused.linear_idx]) => *y,
                _ => continue,
            },
            Op::Attention { y, .. } | Op::CachedAttention { y, .. } if attends(recording, op, variants) => *y,
            _ => continue,
        };
        let root = recording.root(written);
        let mut read = readers.get(&root).into_iter().flatten().peekable();
        let takes = |&reader: &usize| {
            let op = &recording.ops[reader];
            coop(op) && matches!(op, Op::Linear { x, .. } if recording.root(*x) == root)
        };
        if inner(written) && read.peek().is_some() && read.all(takes) {
            halves.buffers.insert(root);
        }
    }
    halves
}

/// Whether an attention can run on cooperative matrices. It does if what follows takes f16, too.
fn attends(recording: &Recording, op: &Op, variants: &Variants) -> bool {
    let (q, n_keys) = match op {
        Op::Attention { q, k, .. } => (*q, recording.shape(*k).rows()),
        Op::CachedAttention { q, cache, .. } => (*q, recording.shape(cache.table).n() * cache.block),
        _ => return false,
    };
    let &[t, _, e] = &recording.shape(q).0[..] else {
        return false;
    };
    variants.attention == Softmax::Coop && t > MAX_T && n_keys > 0 && e.is_multiple_of(4) && e <= MAX_E
}

/// Two linear layers of one x, without bias, whose weights lie alike.
fn alike(recording: &Recording, a: &Op, b: &Op) -> bool {
    let (
        Op::Linear {
            x, weight, bias: None, ..
        },
        Op::Linear {
            x: other_x,
            weight: other,
            bias: None,
            ..
        },
    ) = (a, b)
    else {
        return false;
    };
    let rows = |weight: &Weight| {
        weight
            .parts
            .iter()
            .map(|part| (part.first_row, part.n_rows))
            .collect::<Vec<_>>()
    };
    let weights = (weight.format, weight.n, weight.k) == (other.format, other.n, other.k) && rows(weight) == rows(other);
    recording.root(*x) == recording.root(*other_x) && weights
}

/// Operations that read each root; one that reads it twice is there twice.
fn readers(recording: &Recording) -> BTreeMap<Buffer, Vec<usize>> {
    let mut readers: BTreeMap<Buffer, Vec<usize>> = BTreeMap::new();
    for (idx, op) in recording.ops.iter().enumerate() {
        for buffer in reads(op) {
            readers.entry(recording.root(buffer)).or_default().push(idx);
        }
    }
    readers
}
