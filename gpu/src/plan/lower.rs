//! Recording → plan: shapes are checked, operations are fused, and each becomes one or more dispatches.

use std::collections::BTreeSet;

use super::fuse::{self, Tail};
use super::{Plan, temps};
use crate::engine::Adapter;
use crate::error::{Error, Result};
use crate::kernel::add::Add;
use crate::kernel::attention::{Attention, Heads, Keys};
use crate::kernel::attention_direct::{self, AttentionDirect};
use crate::kernel::attn_decode::AttnDecode;
use crate::kernel::embed::Embed;
use crate::kernel::gather_mix::GatherMix;
use crate::kernel::gelu::Gelu;
use crate::kernel::kv_append::KvAppend;
use crate::kernel::layer_norm::LayerNorm;
use crate::kernel::linear::{Linear, WeightRows};
use crate::kernel::masked_add::MaskedAdd;
use crate::kernel::matmul::Matmul;
use crate::kernel::matmul_direct::MatmulDirect;
use crate::kernel::matvec::{MAX_T, Matvec};
use crate::kernel::overlay::Overlay;
use crate::kernel::patchify::Patchify;
use crate::kernel::quantize::Quantize;
use crate::kernel::rms_norm::RmsNorm;
use crate::kernel::rope::Rope;
use crate::kernel::sample::Sample;
use crate::kernel::swiglu::SwiGlu;
use crate::kernel::take_last::TakeLast;
use crate::kernel::{Dispatch, Kernel, Memory, Operand};
use crate::recording::{Buffer, GeluForm, KvLayer, Op, Place, RawDType, Recording};
use crate::tensor::{DType, TensorId};
use crate::weights::{Format, Weight, WeightPart, k_padded};

/// Lowers a recording for an adapter, and holds the plan to the adapter's limits.
///
/// Errors: `Shape` for operands that do not fit together; `AdapterTooSmall`.
pub fn lower(recording: &Recording, adapter: &Adapter) -> Result<Plan> {
    let fusions = fuse::find(recording);
    let mut lowering = Lowering {
        recording,
        tuning: Tuning::of(adapter),
        dispatches: Vec::new(),
        op_idx: 0,
    };
    let mut slices = Vec::new();
    for slice in recording.slices() {
        let first = lowering.dispatches.len();
        for op_idx in slice {
            lowering.op_idx = op_idx;
            match fusions.by_tail_idx.get(&op_idx) {
                Some(fused) => lowering.linear(&recording.ops[fused.linear_idx], fused.y, Some(fused.tail))?,
                None if fusions.moved.contains(&op_idx) => {}
                None => lowering.op(&recording.ops[op_idx])?,
            }
        }
        slices.push(first..lowering.dispatches.len());
    }
    let mut dispatches = lowering.dispatches;
    let kept: BTreeSet<Buffer> = match recording.keep_taps {
        true => recording.taps.values().map(|&tap| recording.root(tap)).collect(),
        false => BTreeSet::new(),
    };
    let assigned = temps::assign(recording, &mut dispatches, &kept);
    let plan = Plan {
        name: recording.name.clone(),
        dispatches,
        slices,
        temps: assigned.temps,
        temp_of: assigned.temp_of,
        own_temps: !recording.cuts.is_empty() || !kept.is_empty(),
    };
    plan.check(adapter)?;
    Ok(plan)
}

/// Sizes of workgroups and tiles.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    /// Lanes where each does its own values.
    lanes: u32,
    /// Lanes that share a row; a power of two.
    row: u32,
    /// Lanes of a tile of `matmul` over outputs and over rows; `None` on CPUs, where tiles in workgroup memory do not pay.
    tile: Option<(u32, u32)>,
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
                tile: None,
                decode: 32,
                sample: 256,
            }
        } else {
            Self {
                lanes: 256,
                row: 128,
                tile: Some((16, 16)),
                decode: 128,
                sample: 256,
            }
        }
    }
}

struct Lowering<'a> {
    recording: &'a Recording,
    tuning: Tuning,
    dispatches: Vec<Dispatch>,
    op_idx: usize,
}

impl Lowering<'_> {
    fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Linear { y, .. } => self.linear(op, *y, None),
            Op::Add { a, b, y } => self.add(*a, *b, *y),
            Op::RmsNorm { x, weight, eps, y } => self.rms_norm(*x, *weight, *eps, *y),
            Op::LayerNorm { x, weight, bias, eps, y } => self.layer_norm(*x, *weight, *bias, *eps, *y),
            Op::Gelu { x, form, y } => self.gelu(*x, *form, *y),
            Op::SwiGlu { gate, up, y } => self.swiglu(*gate, *up, *y),
            Op::Rope { x, table, map, pos, y } => self.rope([*x, *table, *map, *pos], *y),
            Op::Attention { q, k, v, scale, y } => self.attention(*q, *k, *v, *scale, *y),
            Op::CachedAttention {
                q,
                cache,
                state,
                scale,
                y,
            } => self.cached_attention(*q, cache, *state, *scale, *y),
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
        }
    }

    fn push(&mut self, kernel: impl Kernel) -> Result<()> {
        self.dispatches.push(Dispatch::new(&kernel, self.op_idx)?);
        Ok(())
    }

    fn operand(&self, buffer: Buffer) -> Operand {
        let info = self.recording.info(buffer);
        let root = self.recording.root(buffer);
        Operand {
            memory: match self.recording.info(root).place {
                Place::Bound(tensor) => Memory::Tensor(tensor),
                Place::Temp | Place::View(_) => Memory::Temp(root.0),
            },
            size_bytes: info.dtype.size_bytes(info.shape.n()),
        }
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

    /// Rows of a weight's part, as kernels read them.
    fn rows(&self, weight: &Weight, part: &WeightPart) -> Result<WeightRows> {
        let tensor = |id: TensorId, size_bytes: u64| Operand {
            memory: Memory::Tensor(id),
            size_bytes,
        };
        let scale_bytes = weight.format.scale_bytes(part.n_rows, weight.k);
        if part.scales.is_some() != weight.format.has_scales() || part.first_row + part.n_rows > weight.n {
            return Err(Error::Shape {
                op: "linear",
                operand: "weight",
                found: format!("{}: {part:?}", weight.name),
                expected: format!("rows of {} in format {}", weight.n, weight.format.name()),
            });
        }
        Ok(WeightRows {
            format: weight.format,
            packed: tensor(part.packed, weight.format.packed_bytes(part.n_rows, weight.k)),
            scales: part.scales.map(|id| tensor(id, scale_bytes)),
            first_row: part.first_row,
            n_rows: part.n_rows,
            k_padded: k_padded(weight.k),
        })
    }

    /// A linear layer into `y`, with what was fused to it; one dispatch a part of the weight.
    fn linear(&mut self, op: &Op, y: Buffer, tail: Option<Tail>) -> Result<()> {
        let Op::Linear { x, weight, bias, .. } = op else {
            return Ok(());
        };
        let (n, k) = (weight.n, weight.k);
        let rows = self.recording.shape(*x).rows();
        let t = if k == 0 { self.n(y).checked_div(n).unwrap_or(0) } else { rows };
        self.expect("linear", "x", *x, &[t, k])?;
        self.expect("linear", "y", y, &[t, n])?;
        if let Some(bias) = bias {
            self.expect("linear", "bias", *bias, &[n])?;
        }
        let addend = match tail {
            Some(Tail::Add(addend)) => Some(addend),
            _ => None,
        };
        if let Some(addend) = addend {
            self.expect("add", "addend", addend, &[t, n])?;
        }
        for part in &weight.parts {
            if t * part.n_rows == 0 {
                continue;
            }
            let linear = Linear {
                weight: self.rows(weight, part)?,
                x: self.operand(*x),
                bias: bias.map(|bias| self.operand(bias)),
                addend: addend.map(|addend| self.operand(addend)),
                gelu: match tail {
                    Some(Tail::Gelu(form)) => Some(form),
                    _ => None,
                },
                y: self.operand(y),
                t,
                n,
                k,
            };
            if t <= MAX_T {
                let workgroup = self.tuning.row;
                self.push(Matvec { linear, workgroup })?;
            } else if let Some((tx, ty)) = self.tuning.tile {
                self.push(Matmul { linear, tx, ty })?;
            } else {
                let workgroup = self.tuning.row;
                self.push(MatmulDirect { linear, workgroup })?;
            }
        }
        Ok(())
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

    fn rms_norm(&mut self, x: Buffer, weight: Buffer, eps: f32, y: Buffer) -> Result<()> {
        let (n_rows, d) = (self.recording.shape(x).rows(), self.recording.shape(x).last());
        self.expect("rms_norm", "weight", weight, &[d])?;
        self.expect("rms_norm", "y", y, &[n_rows, d])?;
        if n_rows * d == 0 {
            return Ok(());
        }
        self.push(RmsNorm {
            x: self.operand(x),
            weight: self.operand(weight),
            y: self.operand(y),
            n_rows,
            d,
            eps,
            workgroup: self.tuning.row,
        })
    }

    fn layer_norm(&mut self, x: Buffer, weight: Buffer, bias: Buffer, eps: f32, y: Buffer) -> Result<()> {
        let (n_rows, d) = (self.recording.shape(x).rows(), self.recording.shape(x).last());
        self.expect("layer_norm", "weight", weight, &[d])?;
        self.expect("layer_norm", "bias", bias, &[d])?;
        self.expect("layer_norm", "y", y, &[n_rows, d])?;
        if n_rows * d == 0 {
            return Ok(());
        }
        self.push(LayerNorm {
            x: self.operand(x),
            weight: self.operand(weight),
            bias: self.operand(bias),
            y: self.operand(y),
            n_rows,
            d,
            eps,
            workgroup: self.tuning.row,
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
        self.push(Rope {
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
        })
    }

    fn attention(&mut self, q: Buffer, k: Buffer, v: Buffer, scale: f32, y: Buffer) -> Result<()> {
        let (&[t, heads, e], &[s, kv_heads, _]) = (self.extents(q), self.extents(k)) else {
            return Err(self.rank("attention", "q", q, "[T, H, E], and k [S, K, E]"));
        };
        self.expect("attention", "k", k, &[s, kv_heads, e])?;
        self.expect("attention", "v", v, &[s, kv_heads, e])?;
        let keys = Keys::Dense {
            k: self.operand(k),
            v: self.operand(v),
        };
        self.attend(Heads {
            q: self.operand(q),
            keys,
            y: self.operand(y),
            t,
            s,
            heads,
            kv_heads,
            e,
            scale,
        })
    }

    fn cached_attention(&mut self, q: Buffer, cache: &KvLayer, state: Buffer, scale: f32, y: Buffer) -> Result<()> {
        let (&[t, heads, e], &[_, block, kv_heads, cache_e]) = (self.extents(q), self.extents(cache.k)) else {
            return Err(self.rank("cached_attention", "cache", cache.k, "[n_blocks, block, K, E]"));
        };
        if block != cache.block || cache_e != e {
            return Err(self.rank("cached_attention", "cache", cache.k, "heads and blocks of the queries' size"));
        }
        let keys = Keys::Cache {
            k: self.operand(cache.k),
            v: self.operand(cache.v),
            table: self.operand(cache.table),
            state: self.operand(state),
            dtype: cache.dtype,
            block: cache.block,
        };
        self.attend(Heads {
            q: self.operand(q),
            keys,
            y: self.operand(y),
            t,
            s: self.n(cache.table) * cache.block,
            heads,
            kv_heads,
            e,
            scale,
        })
    }

    fn attend(&mut self, heads: Heads) -> Result<()> {
        let expected = DType::F32.size_bytes(heads.t * heads.heads * heads.e);
        if heads.y.size_bytes != expected {
            return Err(Error::Shape {
                op: "attention",
                operand: "y",
                found: format!("{} bytes", heads.y.size_bytes),
                expected: format!("{expected} bytes"),
            });
        }
        if heads.t * heads.heads * heads.e == 0 {
            return Ok(());
        }
        if heads.t == 1 {
            let workgroup = self.tuning.decode.max((heads.e as u32 / 4).next_power_of_two());
            return self.push(AttnDecode { heads, workgroup });
        }
        if self.tuning.tile.is_none() && heads.e <= attention_direct::MAX_E {
            let rows = attention_direct::rows(&heads);
            return self.push(AttentionDirect { heads, rows });
        }
        self.push(Attention { heads })
    }

    fn kv_append(&mut self, k: Buffer, v: Buffer, cache: &KvLayer, state: Buffer) -> Result<()> {
        let (&[t, kv_heads, e], &[_, block, cache_heads, cache_e]) = (self.extents(k), self.extents(cache.k)) else {
            return Err(self.rank("kv_append", "k", k, "[T, K, E], and the cache [n_blocks, block, K, E]"));
        };
        if (block, cache_heads, cache_e) != (cache.block, kv_heads, e) {
            return Err(self.rank("kv_append", "cache", cache.k, "heads and blocks of the keys' size"));
        }
        self.expect("kv_append", "v", v, &[t, kv_heads, e])?;
        if t * kv_heads * e == 0 {
            return Ok(());
        }
        self.push(KvAppend {
            k: self.operand(k),
            v: self.operand(v),
            table: self.operand(cache.table),
            state: self.operand(state),
            k_cache: self.operand(cache.k),
            v_cache: self.operand(cache.v),
            dtype: cache.dtype,
            t,
            row: kv_heads * e,
            block: cache.block,
            n_table: self.n(cache.table),
            workgroup: self.tuning.lanes,
        })
    }

    /// The first part writes zeros for ids of other parts, which write theirs after it.
    fn embed(&mut self, table: &Weight, ids: Buffer, y: Buffer) -> Result<()> {
        let (t, d) = (self.n(ids), table.k);
        self.expect("embed", "y", y, &[t, d])?;
        if t * d == 0 {
            return Ok(());
        }
        for (i, part) in table.parts.iter().enumerate() {
            self.push(Embed {
                weight: self.rows(table, part)?,
                ids: self.operand(ids),
                y: self.operand(y),
                t,
                d,
                fill: i == 0,
                workgroup: self.tuning.lanes,
            })?;
        }
        Ok(())
    }

    fn masked(&self, op: &'static str, [x, rows, mask]: [Buffer; 3], y: Buffer) -> Result<(usize, usize)> {
        let (t, d) = (self.n(mask), self.recording.shape(x).last());
        for (operand, buffer) in [("x", x), ("rows", rows), ("y", y)] {
            self.expect(op, operand, buffer, &[t, d])?;
        }
        Ok((t, d))
    }

    fn overlay(&mut self, inputs: [Buffer; 3], y: Buffer) -> Result<()> {
        let (t, d) = self.masked("overlay", inputs, y)?;
        if t * d == 0 {
            return Ok(());
        }
        let [x, rows, mask] = inputs.map(|buffer| self.operand(buffer));
        self.push(Overlay {
            x,
            rows,
            mask,
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    fn masked_add(&mut self, inputs: [Buffer; 3], y: Buffer) -> Result<()> {
        let (t, d) = self.masked("masked_add", inputs, y)?;
        if t * d == 0 {
            return Ok(());
        }
        let [x, rows, mask] = inputs.map(|buffer| self.operand(buffer));
        self.push(MaskedAdd {
            x,
            rows,
            mask,
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    fn take_last(&mut self, x: Buffer, state: Buffer, y: Buffer) -> Result<()> {
        let (t, d) = (self.recording.shape(x).rows(), self.recording.shape(x).last());
        self.expect("take_last", "y", y, &[d])?;
        if t * d == 0 {
            return Ok(());
        }
        self.push(TakeLast {
            x: self.operand(x),
            state: self.operand(state),
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    fn patchify(&mut self, frames: Buffer, n_frames: usize, [height, width]: [usize; 2], side: usize, y: Buffer) -> Result<()> {
        self.expect("patchify", "frames", frames, &[n_frames, height, width, 3])?;
        self.expect("patchify", "y", y, &[6, height, width])?;
        let whole = |pixels: usize| side > 0 && pixels.is_multiple_of(2 * side);
        if !(1..=2).contains(&n_frames) || !whole(height) || !whole(width) {
            return Err(Error::Shape {
                op: "patchify",
                operand: "frames",
                found: self.recording.shape(frames).to_string(),
                expected: format!("1 or 2 frames, sides in multiples of {}", 2 * side),
            });
        }
        if height * width == 0 {
            return Ok(());
        }
        self.push(Patchify {
            frames: self.operand(frames),
            n_frames,
            height,
            width,
            side,
            y: self.operand(y),
            workgroup: self.tuning.lanes,
        })
    }

    fn gather_mix(&mut self, table: Buffer, index: Buffer, mix: Buffer, y: Buffer) -> Result<()> {
        let (t, d) = (self.n(index) / 4, self.recording.shape(table).last());
        self.expect("gather_mix", "mix", mix, &[t, 4])?;
        self.expect("gather_mix", "y", y, &[t, d])?;
        if t * d == 0 {
            return Ok(());
        }
        self.push(GatherMix {
            table: self.operand(table),
            index: self.operand(index),
            mix: self.operand(mix),
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
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
        self.push(Sample {
            logits: self.operand(sample.logits),
            sampling: self.operand(sample.sampling),
            state: self.operand(sample.state),
            seen: self.operand(sample.seen),
            ids: self.operand(sample.ids),
            pos: self.operand(sample.pos),
            ring: self.operand(sample.ring),
            v,
            ring_len,
            workgroup: self.tuning.sample,
        })
    }

    fn quantize(
        &mut self,
        src: Buffer,
        src_dtype: RawDType,
        [n_rows, k]: [usize; 2],
        format: Format,
        packed: Buffer,
        scales: Option<Buffer>,
    ) -> Result<()> {
        let (src, packed) = (self.operand(src), self.operand(packed));
        let scales = scales.map(|scales| self.operand(scales));
        let needed = [
            ("src", src.size_bytes, (n_rows * k * src_dtype.size_bytes()) as u64),
            ("packed", packed.size_bytes, format.packed_bytes(n_rows, k)),
            ("scales", scales.map_or(0, |s| s.size_bytes), format.scale_bytes(n_rows, k)),
        ];
        for (operand, found, expected) in needed {
            if found < expected {
                return Err(Error::Shape {
                    op: "quantize",
                    operand,
                    found: format!("{found} bytes"),
                    expected: format!("{expected} bytes"),
                });
            }
        }
        if n_rows * k == 0 {
            return Ok(());
        }
        self.push(Quantize {
            src,
            src_dtype,
            n_rows,
            k,
            format,
            packed,
            scales: scales.filter(|_| format.has_scales()),
            workgroup: self.tuning.lanes,
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
