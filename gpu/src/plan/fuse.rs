//! Which operations become part of another's kernel. Today: what follows a linear layer (GELU, a residual) joins it.

use std::collections::{BTreeMap, BTreeSet};

use super::operands::{reads, writes};
use crate::recording::{Buffer, GeluForm, Op, Place, Recording};

/// What a linear layer's kernel does after its sums, instead of a kernel of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Adds this buffer.
    Add(Buffer),
    Gelu(GeluForm),
}

/// A linear layer and the operation that joined it.
#[derive(Clone, Copy, Debug)]
pub struct Fused {
    /// The linear layer's operation.
    pub linear_idx: usize,
    pub tail: Tail,
    /// Written instead of the linear layer's own output.
    pub y: Buffer,
}

/// Fusions of a recording, by the operation that joins: the kernel runs in its place.
#[derive(Debug, Default)]
pub struct Fusions {
    pub by_tail_idx: BTreeMap<usize, Fused>,
    /// Linear layers that run later, with their tail.
    pub moved: BTreeSet<usize>,
}

/// Finds them. A linear layer is fused if its output is a temporary that only the tail reads, the tail lies in the same
/// slice, and nothing that the layer reads is changed in between.
pub fn find(recording: &Recording) -> Fusions {
    let mut fusions = Fusions::default();
    let readers = readers(recording);
    let kept = kept(recording);
    for slice in recording.slices() {
        for linear_idx in slice.clone() {
            let Op::Linear { y, .. } = &recording.ops[linear_idx] else {
                continue;
            };
            let root = recording.root(*y);
            let temp = matches!(recording.info(root).place, Place::Temp);
            let Some(&[tail_idx]) = readers.get(&root).map(Vec::as_slice) else {
                continue;
            };
            if !temp || kept.contains(&root) || !slice.contains(&tail_idx) || tail_idx <= linear_idx {
                continue;
            }
            let (tail, y) = match &recording.ops[tail_idx] {
                Op::Add { a, b, y } if recording.root(*a) == root => (Tail::Add(*b), *y),
                Op::Add { a, y, .. } => (Tail::Add(*a), *y),
                Op::Gelu { form, y, .. } => (Tail::Gelu(*form), *y),
                _ => continue,
            };
            if !fusions.by_tail_idx.contains_key(&tail_idx) && !changed_between(recording, linear_idx, tail_idx) {
                let fused = Fused { linear_idx, tail, y };
                fusions.by_tail_idx.insert(tail_idx, fused);
                fusions.moved.insert(linear_idx);
            }
        }
    }
    fusions
}

/// Roots that tests read.
pub(super) fn kept(recording: &Recording) -> BTreeSet<Buffer> {
    match recording.keep_taps {
        true => recording.taps.values().map(|&tap| recording.root(tap)).collect(),
        false => BTreeSet::new(),
    }
}

/// Operations that read each root; one that reads it twice is there twice.
pub(super) fn readers(recording: &Recording) -> BTreeMap<Buffer, Vec<usize>> {
    let mut readers: BTreeMap<Buffer, Vec<usize>> = BTreeMap::new();
    for (idx, op) in recording.ops.iter().enumerate() {
        for buffer in reads(op) {
            readers.entry(recording.root(buffer)).or_default().push(idx);
        }
    }
    readers
}

fn changed_between(recording: &Recording, linear_idx: usize, tail_idx: usize) -> bool {
    let inputs: BTreeSet<Buffer> = reads(&recording.ops[linear_idx])
        .into_iter()
        .map(|buffer| recording.root(buffer))
        .collect();
    // A weight may be packed anew in between: its tensors are not buffers here, so any packing counts.
    recording.ops[linear_idx + 1..tail_idx]
        .iter()
        .any(|op| matches!(op, Op::Quantize { .. }) || writes(op).iter().any(|&buffer| inputs.contains(&recording.root(buffer))))
}
