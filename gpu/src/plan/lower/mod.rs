//! Recording → plan: shapes are checked, operations are fused, and each becomes one or more dispatches.

mod attention;
mod decode;
mod rows;
mod speech;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use super::halves::{self, Halves};
use super::{Plan, Variants, decode::Decoding, fuse, temps};
use crate::engine::Adapter;
use crate::error::{Error, Result};
use crate::kernel::add::Add;
use crate::kernel::gelu::Gelu;
use crate::kernel::halve::Halve;
use crate::kernel::rope::{Rope, RopeFour};
use crate::kernel::sample::Sample;
use crate::kernel::sample_scan::{SampleScan, runs_bytes};
use crate::kernel::swiglu::SwiGlu;
use crate::kernel::{Dispatch, Kernel, Memory, Operand};
use crate::recording::{Buffer, GeluForm, Op, Place, Recording};

/// Lowers a recording for an adapter with the variants that its features promise to be the fastest.
///
/// Errors: those of [`lower_with`].
pub fn lower(recording: &Recording, adapter: &Adapter) -> Result<Plan> {
    lower_with(recording, adapter, &Variants::of(adapter))
}

/// Lowers a recording for an adapter with given variants, and holds the plan to the adapter's limits and features.
///
/// Errors: `Shape` for operands that do not fit together; `AdapterTooSmall`.
pub fn lower_with(recording: &Recording, adapter: &Adapter, variants: &Variants) -> Result<Plan> {
    let fusions = fuse::find(recording);
    let halves = halves::find(recording, variants, &fusions);
    let mut lowering = Lowering {
        recording,
        tuning: Tuning::of(adapter),
        variants: variants.clone(),
        tile_memory: adapter.workgroup_memory_bytes,
        halves,
        halved: BTreeMap::new(),
        decoding: super::decode::find(recording, variants, &fusions),
        acts: BTreeMap::new(),
        steps: Vec::new(),
        max_invocations: adapter.max_invocations,
        dispatches: Vec::new(),
        scratch: Vec::new(),
        op_idx: 0,
    };
    let gate = match variants.gated {
        true => super::decode::gate(recording).map(|state| lowering.operand(state)),
        false => None,
    };
    let mut slices = Vec::new();
    for slice in recording.slices() {
        let first = lowering.dispatches.len();
        for op_idx in slice {
            lowering.op_idx = op_idx;
            match fusions.by_tail_idx.get(&op_idx) {
                Some(fused) => lowering.linear(fused.linear_idx, fused.y, Some(fused.tail))?,
                None if fusions.moved.contains(&op_idx) || lowering.halves.moved.contains(&op_idx) => {}
                None if lowering.decoding.moved.contains(&op_idx) => {}
                None => lowering.op(&recording.ops[op_idx])?,
            }
        }
        slices.push(first..lowering.dispatches.len());
    }
    let Lowering {
        mut dispatches, scratch, ..
    } = lowering;
    let kept: BTreeSet<Buffer> = match recording.keep_taps {
        true => recording.taps.values().map(|&tap| recording.root(tap)).collect(),
        false => BTreeSet::new(),
    };
    let assigned = temps::assign(recording, &mut dispatches, &kept, &scratch);
    let plan = Plan {
        name: recording.name.clone(),
        dispatches,
        slices,
        temps: assigned.temps,
        temp_of: assigned.temp_of,
        gate,
        own_temps: !recording.cuts.is_empty() || !kept.is_empty(),
    };
    plan.check(adapter)?;
    Ok(plan)
}

/// Runs of the vocabulary that `sample_scan` walks at once, and ids of the shortest.
const MAX_RUNS: usize = 128;
const MIN_RUN: usize = 1024;

/// Sizes of workgroups and tiles.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    /// Lanes where each does its own values.
    lanes: u32,
    /// Lanes that share a row; a power of two.
    row: u32,
    /// Lanes that share a head when decoding.
    decode: u32,
    /// Lanes that walk the vocabulary.
    sample: u32,
}

impl Tuning {
    fn of(adapter: &Adapter) -> Self {
        if adapter.software {
            // Barriers cost a CPU more than idle lanes do; eight lanes are one vector of AVX.
            Self {
                lanes: 64,
                row: 8,
                decode: 32,
                sample: 256,
            }
        } else {
            Self {
                lanes: 256,
                row: 128,
                decode: 128,
                sample: match adapter.max_invocations >= 1024 && adapter.workgroup_memory_bytes >= 32 << 10 {
                    true => 1024,
                    false => 256,
                },
            }
        }
    }
}

struct Lowering<'a> {
    recording: &'a Recording,
    tuning: Tuning,
    variants: Variants,
    /// Bytes of workgroup memory that tiles may take.
    tile_memory: u32,
    halves: Halves,
    /// Copies in f16 of temporaries of f32, by their roots.
    halved: BTreeMap<Buffer, Operand>,
    decoding: Decoding,
    /// Packed activations by the root of what they are.
    acts: BTreeMap<Buffer, Operand>,
    /// What `attn_step` made, and of what.
    steps: Vec<([Operand; 4], Operand)>,
    max_invocations: u32,
    dispatches: Vec<Dispatch>,
    /// Bytes of the plan's own temporaries.
    scratch: Vec<u64>,
    op_idx: usize,
}

impl Lowering<'_> {
    fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Linear { y, .. } => self.linear(self.op_idx, *y, None),
            Op::Add { a, b, y } => self.add(*a, *b, *y),
            Op::RmsNorm { x, weight, eps, y } => self.rms_norm(*x, *weight, *eps, *y),
            Op::LayerNorm { x, weight, bias, eps, y } => self.layer_norm(*x, *weight, *bias, *eps, *y),
            Op::Gelu { x, form, y } => self.gelu(*x, *form, *y),
            Op::SwiGlu { gate, up, y } => {
                if let Some(&pair) = self.halves.pairs.get(&self.op_idx) {
                    return self.pair(pair, *y);
                }
                match self.decoding.gated.get(&self.op_idx) {
                    Some(&pair) => self.dot_swiglu(pair, *y),
                    None => self.swiglu(*gate, *up, *y),
                }
            }
            Op::Rope { x, table, map, pos, y } => self.rope([*x, *table, *map, *pos], *y),
            Op::Attention { q, k, v, scale, y } => self.attention(*q, *k, *v, *scale, *y),
            Op::CachedAttention {
                q,
                cache,
                state,
                scale,
                y,
            } => match self.decoding.attention.get(&self.op_idx) {
                Some(&raw) => self.split_attention(*q, cache, *state, *scale, *y, raw),
                None => self.cached_attention(*q, cache, *state, *scale, *y),
            },
            Op::KvAppend { k, v, cache, state } => self.kv_append(*k, *v, cache, *state),
            Op::Embed { table, ids, y } => self.embed(table, *ids, *y),
            Op::Overlay { x, rows, mask, y } => self.overlay([*x, *rows, *mask], *y),
            Op::MaskedAdd { x, rows, mask, y } => self.masked_add([*x, *rows, *mask], *y),
            Op::TakeLast { x, state, y } => self.take_last(*x, *state, *y),
            Op::Patchify {
                frames,
                n_frames,
                height,
                width,
                patch,
                y,
            } => self.patchify(*frames, *n_frames, [*height, *width], *patch, *y),
            Op::GatherMix { table, index, mix, y } => self.gather_mix(*table, *index, *mix, *y),
            Op::Sample(sample) => self.sample(sample),
            Op::Quantize {
                src,
                src_dtype,
                n_rows,
                k,
                format,
                packed,
                scales,
            } => self.quantize(*src, *src_dtype, [*n_rows, *k], *format, *packed, *scales),
            Op::Speech(op) => self.speech(op),
        }
    }

    fn push(&mut self, kernel: impl Kernel) -> Result<()> {
        self.dispatches.push(Dispatch::new(&kernel, self.op_idx)?);
        Ok(())
    }

    /// A temporary that the recording does not know.
    fn scratch(&mut self, size_bytes: u64) -> Operand {
        self.scratch.push(size_bytes);
        let number = self.recording.buffers.len() + self.scratch.len() - 1;
        Operand {
            memory: Memory::Temp(number as u32),
            size_bytes,
        }
    }

    fn operand(&self, buffer: Buffer) -> Operand {
        let info = self.recording.info(buffer);
        let root = self.recording.root(buffer);
        Operand {
            memory: match self.recording.info(root).place {
                Place::Bound(tensor) => Memory::Tensor(tensor),
                Place::Temp | Place::View(_) => Memory::Temp(root.0),
            },
            size_bytes: match self.halves.buffers.contains(&root) {
                true => 2 * info.shape.n() as u64,
                false => info.dtype.size_bytes(info.shape.n()),
            },
        }
    }

    /// Whether kernels find f16 in a buffer that the recording has in f32.
    fn is_half(&self, buffer: Buffer) -> bool {
        self.halves.buffers.contains(&self.recording.root(buffer))
    }

    /// The buffer in f16: as it is, or a copy, made once if nothing changes the buffer.
    fn halved(&mut self, buffer: Buffer) -> Result<Operand> {
        let root = self.recording.root(buffer);
        if self.is_half(buffer) {
            return Ok(self.operand(buffer));
        }
        if let Some(&copy) = self.halved.get(&root) {
            return Ok(copy);
        }
        let n = self.n(buffer);
        let copy = self.scratch(2 * n as u64);
        self.push(Halve {
            x: self.operand(buffer),
            y: copy,
            n,
            workgroup: self.tuning.lanes,
        })?;
        if matches!(self.recording.info(root).place, Place::Temp) {
            self.halved.insert(root, copy);
        }
        Ok(copy)
    }

    fn n(&self, buffer: Buffer) -> usize {
        self.recording.shape(buffer).n()
    }

    fn extents(&self, buffer: Buffer) -> &[usize] {
        &self.recording.shape(buffer).0
    }

    /// Errors: `Shape` unless the buffer has as many elements as the extents say.
    fn expect(&self, op: &'static str, operand: &'static str, buffer: Buffer, extents: &[usize]) -> Result<()> {
        if self.n(buffer) == extents.iter().product::<usize>() {
            return Ok(());
        }
        Err(Error::Shape {
            op,
            operand,
            found: self.recording.shape(buffer).to_string(),
            expected: format!("{extents:?}"),
        })
    }

    fn add(&mut self, a: Buffer, b: Buffer, y: Buffer) -> Result<()> {
        let n = self.n(y);
        self.expect("add", "a", a, &[n])?;
        self.expect("add", "b", b, &[n])?;
        if n == 0 {
            return Ok(());
        }
        self.push(Add {
            a: self.operand(a),
            b: self.operand(b),
            y: self.operand(y),
            n,
            workgroup: self.tuning.lanes,
        })
    }

    fn gelu(&mut self, x: Buffer, form: GeluForm, y: Buffer) -> Result<()> {
        let n = self.n(y);
        self.expect("gelu", "x", x, &[n])?;
        if n == 0 {
            return Ok(());
        }
        self.push(Gelu {
            x: self.operand(x),
            form,
            y: self.operand(y),
            n,
            workgroup: self.tuning.lanes,
        })
    }

    fn swiglu(&mut self, gate: Buffer, up: Buffer, y: Buffer) -> Result<()> {
        let n = self.n(y);
        self.expect("swiglu", "gate", gate, &[n])?;
        self.expect("swiglu", "up", up, &[n])?;
        if n == 0 {
            return Ok(());
        }
        self.push(SwiGlu {
            gate: self.operand(gate),
            up: self.operand(up),
            y: self.operand(y),
            n,
            workgroup: self.tuning.lanes,
        })
    }

    fn rope(&mut self, [x, table, map, pos]: [Buffer; 4], y: Buffer) -> Result<()> {
        let &[t, h, e] = self.extents(x) else {
            return Err(self.rank("rope", "x", x, "[T, H, E]"));
        };
        self.expect("rope", "map", map, &[e / 2])?;
        self.expect("rope", "y", y, &[t, h, e / 2, 2])?;
        let &[_, f, 2] = self.extents(table) else {
            return Err(self.rank("rope", "table", table, "[P, F, 2]"));
        };
        if t * h * e == 0 {
            return Ok(());
        }
        let rope = Rope {
            x: self.operand(x),
            table: self.operand(table),
            map: self.operand(map),
            pos: self.operand(pos),
            y: self.operand(y),
            t,
            h,
            half: e / 2,
            f,
            workgroup: self.tuning.lanes,
        };
        match self.is_half(y) {
            true => self.push(RopeFour {
                rope,
                from_f16: self.is_half(x),
            }),
            false => self.push(rope),
        }
    }

    fn sample(&mut self, sample: &crate::recording::Sample) -> Result<()> {
        let v = self.n(sample.logits);
        self.expect("sample", "seen", sample.seen, &[v])?;
        let ring_len = self.n(sample.ring) / 2;
        if v == 0 || ring_len == 0 {
            return Err(self.rank(
                "sample",
                "ring",
                sample.ring,
                "[ring_len, 2] of at least one, and some logits",
            ));
        }
        let n_runs = v.div_ceil(MIN_RUN).min(MAX_RUNS);
        let runs = self.scratch(runs_bytes(n_runs));
        self.push(SampleScan {
            logits: self.operand(sample.logits),
            sampling: self.operand(sample.sampling),
            state: self.operand(sample.state),
            seen: self.operand(sample.seen),
            runs,
            v,
            n_runs,
            workgroup: self.tuning.sample.min(256),
        })?;
        self.push(Sample {
            logits: self.operand(sample.logits),
            sampling: self.operand(sample.sampling),
            runs,
            state: self.operand(sample.state),
            seen: self.operand(sample.seen),
            ids: self.operand(sample.ids),
            pos: self.operand(sample.pos),
            ring: self.operand(sample.ring),
            v,
            ring_len,
            n_runs,
            workgroup: self.tuning.sample,
        })
    }

    fn rank(&self, op: &'static str, operand: &'static str, buffer: Buffer, expected: &str) -> Error {
        Error::Shape {
            op,
            operand,
            found: self.recording.shape(buffer).to_string(),
            expected: expected.into(),
        }
    }
}
