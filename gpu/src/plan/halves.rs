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
    let writer = |idx: usize, buffer: Buffer| {
        let root = recording.root(buffer);
        let writes = |op: &&Op| writes(op).iter().any(|&w| recording.root(w) == root);
        recording.ops[..idx].iter().enumerate().rfind(|(_, op)| writes(op))
    };
    let only = |idx: usize, buffer: Buffer| {
        let root = recording.root(buffer);
        inner(root) && readers.get(&root).map(Vec::as_slice) == Some(&[idx][..])
    };
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
    // Queries, keys and values that only an attention on matrices reads, and what is turned to them.
    for (idx, op) in recording.ops.iter().enumerate() {
        let (q, kv, y) = match op {
            Op::Attention { q, k, v, y, .. } => (*q, Some((*k, *v)), *y),
            Op::CachedAttention { q, y, .. } => (*q, None, *y),
            _ => continue,
        };
        if !halves.buffers.contains(&recording.root(y)) {
            continue;
        }
        // What is turned, if an f16 result can be.
        let turned = |buffer: Buffer| match writer(idx, buffer) {
            Some((at, Op::Rope { x, .. })) if only(idx, buffer) && recording.shape(*x).last().is_multiple_of(8) => Some((at, *x)),
            _ => None,
        };
        let mut taken = Vec::new();
        if let Some(from) = turned(q) {
            taken.push((q, from));
        }
        if let Some((k, v)) = kv
            && let Some(from) = turned(k)
            && only(idx, v)
            && writer(idx, v).is_some_and(|(_, op)| coop(op))
        {
            taken.push((k, from));
            halves.buffers.insert(recording.root(v));
        }
        for (buffer, (at, x)) in taken {
            halves.buffers.insert(recording.root(buffer));
            let can = match writer(at, x) {
                Some((_, Op::RmsNorm { x, .. })) => recording.shape(*x).last().is_multiple_of(4),
                Some((_, op)) => coop(op),
                None => false,
            };
            if can && only(at, x) {
                halves.buffers.insert(recording.root(x));
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Adapter, CoopScalar, CoopShape};
    use crate::model::ops::{self, Linear, Norm, RopeTable};
    use crate::plan::{Plan, lower};
    use crate::recording::GeluForm;
    use crate::tensor::{DType, TensorId};
    use crate::weights::WeightPart;

    fn with_matrices() -> Adapter {
        Adapter {
            shader_f16: true,
            subgroups: Some((32, 32)),
            subgroup_barrier: true,
            workgroup_memory_bytes: 48 << 10,
            storage_buffers: 16,
            coop: vec![CoopShape {
                m: 16,
                n: 16,
                k: 16,
                inputs: CoopScalar::F16,
                sums: CoopScalar::F32,
            }],
            ..Adapter::plain("matrices")
        }
    }

    fn layer(n: usize, k: usize, format: Format) -> Linear {
        let scales = format.has_scales().then_some(TensorId(51));
        let part = WeightPart {
            first_row: 0,
            n_rows: n,
            packed: TensorId(50),
            scales,
        };
        Linear {
            weight: Arc::new(Weight {
                name: "w".into(),
                format,
                n,
                k,
                parts: vec![part],
            }),
            bias: None,
        }
    }

    /// A block of the vision tower and a SwiGLU behind it, 64 rows.
    fn block(format: Format) -> crate::Result<Recording> {
        let (t, d, heads) = (64, 128, 2);
        let rec = &mut Recording::new("block");
        let norm = Norm {
            weight: TensorId(1),
            bias: None,
            eps: 1e-6,
        };
        let rope = RopeTable {
            table: TensorId(2),
            map: TensorId(3),
            n_positions: 8,
            n_frequencies: 4,
            head_dim: d / heads,
        };
        let x = rec.bind(TensorId(4), DType::F32, [t, d]);
        let pos = rec.bind(TensorId(5), DType::U32, [2, t]);
        let h = ops::norm(rec, x, &norm)?;
        let q = ops::linear(rec, h, &layer(d, d, format))?;
        let k = ops::linear(rec, h, &layer(d, d, format))?;
        let v = ops::linear(rec, h, &layer(d, d, format))?;
        let q = ops::rope(rec, q, &rope, pos)?;
        let k = ops::rope(rec, k, &rope, pos)?;
        let v = rec.view(v, [t, heads, d / heads])?;
        let h = ops::attention(rec, q, k, v, 0.1)?;
        let h = ops::linear(rec, h, &layer(d, d, format))?;
        let x = ops::add(rec, x, h)?;
        let h = ops::linear(rec, x, &layer(d, d, format))?;
        let h = ops::gelu(rec, h, GeluForm::Tanh);
        let h = ops::linear(rec, h, &layer(d, d, format))?;
        let gate = ops::linear(rec, h, &layer(256, d, format))?;
        let up = ops::linear(rec, h, &layer(256, d, format))?;
        let h = ops::swiglu(rec, gate, up)?;
        let y = rec.bind(TensorId(6), DType::F32, [t, d]);
        ops::linear_into(rec, h, &layer(d, 256, format), y)?;
        Ok(std::mem::take(rec))
    }

    fn kernels(plan: &Plan) -> Vec<&'static str> {
        plan.dispatches.iter().map(|dispatch| dispatch.kernel).collect()
    }

    #[test]
    fn what_matrices_multiply_stays_in_f16_between_kernels() -> crate::Result<()> {
        let plan = lower(&block(Format::Q4)?, &with_matrices())?;
        let m = "matmul_coop";
        // x is f32 for the residual, so the layer behind it gets a copy; gate and up get one of f32, too.
        let expected = [
            "norm_four",
            m,
            m,
            m,
            "rope_four",
            "rope_four",
            "attention_coop",
            m,
            "halve",
            m,
            m,
            "halve",
            m,
            m,
        ];
        assert_eq!(kernels(&plan), expected, "{plan}");
        let parts = |i: usize| plan.dispatches[i].parts.join(" ");
        assert_eq!(parts(0), "result_f16");
        assert_eq!(parts(3), "halves_q4 tile_small result_f16", "values");
        assert_eq!(parts(1), "halves_q4 tile_small result_f16", "queries that will be turned");
        assert_eq!(parts(4), "vector_f16", "queries");
        assert_eq!(parts(5), "vector_f16", "keys");
        assert_eq!(parts(6), "pages_halves width_80");
        assert_eq!(parts(12), "halves_q4 tile_small result_f16", "gate and up");
        Ok(())
    }

    #[test]
    fn weights_of_f32_and_adapters_without_matrices_keep_f32() -> crate::Result<()> {
        let plans = [
            lower(&block(Format::F32)?, &with_matrices())?,
            lower(&block(Format::Q4)?, &Adapter::plain("no matrices"))?,
        ];
        for plan in plans {
            let coop = |kernel: &&&str| kernel.ends_with("_coop") || **kernel == "halve" || **kernel == "norm_four";
            assert_eq!(kernels(&plan).iter().filter(coop).count(), 0, "{plan}");
        }
        Ok(())
    }
}
