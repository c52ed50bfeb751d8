//! Which buffers an operation reads and writes: for liveness, and for the check that nothing is written while it is read.

use gpu::plan;
pub use gpu::plan::writes;
use gpu::recording::{Buffer, Op};
use gpu::weights::Weight;

/// Buffers that an operation reads and does not write. `Sample` and some of speech change operands in place.
pub fn reads(op: &Op) -> Vec<Buffer> {
    match op {
        Op::Sample(sample) => vec![sample.logits, sample.sampling],
        Op::Speech(op) => op.unchanged(),
        _ => plan::reads(op),
    }
}

/// The weight that an operation reads.
pub fn weight(op: &Op) -> Option<&Weight> {
    match op {
        Op::Linear { weight, .. } => Some(weight),
        Op::Embed { table, .. } => Some(table),
        _ => None,
    }
}
