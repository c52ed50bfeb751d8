//! Holds a recording against the formulas of its operations, once, so that playing it cannot go out of bounds.

use std::collections::HashSet;

use gpu::engine::State;
use gpu::recording::{Buffer, KvLayer, Op, Place, Recording, Sample};
use gpu::sampler::SamplingWords;
use gpu::tensor::{DType, Shape, TensorId};
use gpu::weights::Weight;
use gpu::{Error, Result};

use crate::memory::Tensors;
use crate::operands;

/// Checks buffers, bound tensors, the order of writes and reads, and every operation's shapes.
///
/// Errors: [`Error::Shape`] for an operand of the wrong extent or type, [`Error::Engine`] for the rest.
pub fn check(recording: &Recording, tensors: &Tensors) -> Result<()> {
    for i in 0..recording.buffers.len() {
        check_buffer(recording, Buffer(i as u32), tensors)?;
    }
    let mut written = HashSet::new();
    for op in &recording.ops {
        let checker = Checker {
            recording,
            tensors,
            op: op.name(),
        };
        checker.known(op)?;
        checker.order(op, &mut written)?;
        checker.shapes(op)?;
    }
    for (name, &tap) in &recording.taps {
        if tap.0 as usize >= recording.buffers.len() {
            return Err(bad(format!("tap {name} names a buffer that is not there")));
        }
    }
    let ascending = recording.cuts.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || recording.cuts.first() == Some(&0) {
        return Err(bad("cuts do not ascend from above 0".to_owned()));
    }
    Ok(())
}

fn bad(message: String) -> Error {
    Error::Engine {
        what: "recording",
        message,
    }
}

/// A view has the size of its root, and a tensor is there and large enough.
fn check_buffer(recording: &Recording, buffer: Buffer, tensors: &Tensors) -> Result<()> {
    let info = recording.info(buffer);
    let size_bytes = info.dtype.size_bytes(info.shape.n());
    match info.place {
        Place::Temp => Ok(()),
        Place::Bound(id) => tensors.range(id, 0, size_bytes).map(|_| ()),
        Place::View(root) => {
            let found = recording.buffers.get(root.0 as usize);
            let fits = found
                .is_some_and(|root| !matches!(root.place, Place::View(_)) && root.dtype.size_bytes(root.shape.n()) == size_bytes);
            if fits {
                Ok(())
            } else {
                Err(bad(format!("buffer {} is a view of nothing", buffer.0)))
            }
        }
    }
}

/// Memory that a buffer lies in: two buffers with one place must not be read and written by one operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Memory {
    Temp(Buffer),
    Tensor(TensorId),
}

struct Checker<'a> {
    recording: &'a Recording,
    tensors: &'a Tensors,
    op: &'static str,
}

impl Checker<'_> {
    fn known(&self, op: &Op) -> Result<()> {
        let all = operands::reads(op).into_iter().chain(operands::writes(op));
        let n_buffers = self.recording.buffers.len();
        match all.into_iter().find(|b| b.0 as usize >= n_buffers) {
            Some(b) => Err(bad(format!("{}: buffer {} is not there", self.op, b.0))),
            None => Ok(()),
        }
    }

    fn memory(&self, buffer: Buffer) -> Memory {
        let root = self.recording.root(buffer);
        match self.recording.info(root).place {
            Place::Bound(id) => Memory::Tensor(id),
            _ => Memory::Temp(root),
        }
    }

    /// Temporaries are written once and then read; nothing is read and written by the same operation.
    fn order(&self, op: &Op, written: &mut HashSet<Memory>) -> Result<()> {
        let reads: HashSet<Memory> = operands::reads(op).iter().map(|&b| self.memory(b)).collect();
        for &memory in &reads {
            if let Memory::Temp(buffer) = memory
                && !written.contains(&memory)
            {
                let message = format!("{}: temporary {} is read first", self.op, buffer.0);
                return Err(bad(message));
            }
        }
        let mut own = HashSet::new();
        for buffer in operands::writes(op) {
            let memory = self.memory(buffer);
            let again = matches!(memory, Memory::Temp(_)) && !written.insert(memory);
            if again || reads.contains(&memory) || !own.insert(memory) {
                let message = format!("{}: buffer {} is written over", self.op, buffer.0);
                return Err(bad(message));
            }
        }
        Ok(())
    }

    fn shapes(&self, op: &Op) -> Result<()> {
        match op {
            Op::Linear { x, weight, bias, y } => {
                self.weight(weight)?;
                let n_rows = self.rows("x", *x, DType::F32, weight.k)?;
                if let Some(bias) = bias {
                    self.count("bias", *bias, DType::F32, weight.n)?;
                }
                self.matrix("y", *y, DType::F32, n_rows, weight.n)
            }
            Op::Add { a, b, y } => {
                self.count("a", *a, DType::F32, self.n(*y))?;
                self.count("b", *b, DType::F32, self.n(*y))?;
                self.dtype("y", *y, DType::F32)
            }
            Op::RmsNorm { x, weight, y, .. } => self.norm(*x, *weight, None, *y),
            Op::LayerNorm { x, weight, bias, y, .. } => self.norm(*x, *weight, Some(*bias), *y),
            Op::Gelu { x, y, .. } => {
                self.count("x", *x, DType::F32, self.n(*y))?;
                self.dtype("y", *y, DType::F32)
            }
            Op::SwiGlu { gate, up, y } => {
                self.count("gate", *gate, DType::F32, self.n(*y))?;
                self.count("up", *up, DType::F32, self.n(*y))?;
                self.dtype("y", *y, DType::F32)
            }
            Op::Rope { x, table, map, pos, y } => self.rope(*x, *table, *map, *pos, *y),
            Op::Attention { q, k, v, y, .. } => self.attention(*q, *k, *v, *y),
            Op::CachedAttention { q, cache, state, y, .. } => {
                self.words("state", *state, size_of::<State>())?;
                let [_, n_heads, head] = self.extents("q", *q)?;
                let (n_kv_heads, kv_head) = self.cache(cache)?;
                self.heads(n_heads, n_kv_heads, *q)?;
                self.equal("q", *q, head == kv_head, &format!("[T, H, {kv_head}]"))?;
                self.count("y", *y, DType::F32, self.n(*q))
            }
            Op::KvAppend { k, v, cache, state } => {
                self.words("state", *state, size_of::<State>())?;
                let (n_kv_heads, head) = self.cache(cache)?;
                let n_rows = self.rows("k", *k, DType::F32, n_kv_heads * head)?;
                self.matrix("v", *v, DType::F32, n_rows, n_kv_heads * head)
            }
            Op::Embed { table, ids, y } => {
                self.weight(table)?;
                self.dtype("ids", *ids, DType::U32)?;
                self.matrix("y", *y, DType::F32, self.n(*ids), table.k)
            }
            Op::Overlay { x, rows, mask, y } | Op::MaskedAdd { x, rows, mask, y } => {
                self.count("x", *x, DType::F32, self.n(*y))?;
                self.count("rows", *rows, DType::F32, self.n(*y))?;
                self.dtype("mask", *mask, DType::U32)?;
                let shape = self.recording.shape(*y);
                let n_rows = self.n(*mask);
                let whole = leading(shape, n_rows).is_some();
                self.equal("y", *y, whole, &format!("[{n_rows}, D]"))?;
                self.dtype("y", *y, DType::F32)
            }
            Op::TakeLast { x, state, y } => {
                self.words("state", *state, size_of::<State>())?;
                self.dtype("y", *y, DType::F32)?;
                self.rows("x", *x, DType::F32, self.n(*y)).map(|_| ())
            }
            Op::Patchify {
                frames,
                n_frames,
                height,
                width,
                patch,
                y,
            } => self.patchify(*frames, *n_frames, *height, *width, *patch, *y),
            Op::GatherMix { table, index, mix, y } => {
                let n_rows = self.rows("index", *index, DType::U32, 4)?;
                self.matrix("mix", *mix, DType::F32, n_rows, 4)?;
                let width = self.recording.shape(*table).last();
                self.dtype("table", *table, DType::F32)?;
                self.matrix("y", *y, DType::F32, n_rows, width)
            }
            Op::Sample(sample) => self.sample(sample),
            Op::Quantize {
                src,
                src_dtype,
                n_rows,
                k,
                format,
                packed,
                scales,
            } => {
                self.words("src", *src, n_rows * k * src_dtype.size_bytes())?;
                self.words("packed", *packed, format.packed_bytes(*n_rows, *k) as usize)?;
                let scale_bytes = format.scale_bytes(*n_rows, *k) as usize;
                match scales {
                    Some(scales) => self.words("scales", *scales, scale_bytes),
                    None => self.equal("scales", *packed, scale_bytes == 0, "there"),
                }
            }
            Op::Speech(op) => op.check(self.recording),
        }
    }

    fn norm(&self, x: Buffer, weight: Buffer, bias: Option<Buffer>, y: Buffer) -> Result<()> {
        let width = self.n(weight);
        self.dtype("weight", weight, DType::F32)?;
        if let Some(bias) = bias {
            self.count("bias", bias, DType::F32, width)?;
        }
        let n_rows = self.rows("x", x, DType::F32, width)?;
        self.count("y", y, DType::F32, n_rows * width)
    }

    fn rope(&self, x: Buffer, table: Buffer, map: Buffer, pos: Buffer, y: Buffer) -> Result<()> {
        let [n_rows, _, head] = self.extents("x", x)?;
        self.equal("x", x, head % 2 == 0, "[T, H, even]")?;
        let [_, _, pair] = self.extents("table", table)?;
        self.equal("table", table, pair == 2, "[P, F, 2]")?;
        self.count("map", map, DType::U32, head / 2)?;
        self.rows("pos", pos, DType::U32, n_rows)?;
        self.count("y", y, DType::F32, self.n(x))
    }

    fn attention(&self, q: Buffer, k: Buffer, v: Buffer, y: Buffer) -> Result<()> {
        let [_, n_heads, head] = self.extents("q", q)?;
        let [_, n_kv_heads, kv_head] = self.extents("k", k)?;
        self.heads(n_heads, n_kv_heads, q)?;
        self.equal("k", k, kv_head == head, &format!("[S, K, {head}]"))?;
        self.count("v", v, DType::F32, self.n(k))?;
        self.count("y", y, DType::F32, self.n(q))
    }

    fn heads(&self, n_heads: usize, n_kv_heads: usize, q: Buffer) -> Result<()> {
        let shared = n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads);
        self.equal("q", q, shared, &format!("[T, a multiple of {n_kv_heads}, E]"))
    }

    /// K and E of a cache.
    fn cache(&self, cache: &KvLayer) -> Result<(usize, usize)> {
        self.dtype("cache.table", cache.table, DType::U32)?;
        let found = self.recording.shape(cache.k);
        let &[n_blocks, block, n_kv_heads, head] = found.0.as_slice() else {
            return Err(self.shape("cache.k", found, "[n_blocks, block, K, E]"));
        };
        let whole = block == cache.block && block > 0;
        let dense = matches!(cache.dtype, DType::F32 | DType::F16);
        let expected = format!("[n_blocks, {}, K, E]", cache.block);
        self.equal("cache.k", cache.k, whole && dense, &expected)?;
        let n = n_blocks * block * n_kv_heads * head;
        self.count("cache.k", cache.k, cache.dtype, n)?;
        self.count("cache.v", cache.v, cache.dtype, n)?;
        Ok((n_kv_heads, head))
    }

    fn patchify(&self, frames: Buffer, n_frames: usize, height: usize, width: usize, patch: usize, y: Buffer) -> Result<()> {
        let blocks =
            patch > 0 && height.is_multiple_of(2 * patch) && width.is_multiple_of(2 * patch) && (1..=2).contains(&n_frames);
        let expected = "[1 or 2, a multiple of 2 · patch, a multiple of 2 · patch, 3]";
        self.equal("frames", frames, blocks, expected)?;
        self.count("frames", frames, DType::U8, n_frames * height * width * 3)?;
        let n_patches = (height / patch) * (width / patch);
        self.matrix("y", y, DType::F32, n_patches, 6 * patch * patch)
    }

    fn sample(&self, sample: &Sample) -> Result<()> {
        let n_ids = self.n(sample.logits);
        self.equal("logits", sample.logits, n_ids > 0, "[1, V], V > 0")?;
        self.dtype("logits", sample.logits, DType::F32)?;
        self.words("sampling", sample.sampling, size_of::<SamplingWords>())?;
        self.words("state", sample.state, size_of::<State>())?;
        self.count("seen", sample.seen, DType::U32, n_ids)?;
        self.words("ids", sample.ids, 4)?;
        self.words("pos", sample.pos, 12)?;
        self.words("ring", sample.ring, 8)
    }

    /// The parts of a weight are there, large enough, and inside of it.
    fn weight(&self, weight: &Weight) -> Result<()> {
        for part in &weight.parts {
            let packed_bytes = weight.format.packed_bytes(part.n_rows, weight.k);
            self.tensors.range(part.packed, 0, packed_bytes)?;
            let scale_bytes = weight.format.scale_bytes(part.n_rows, weight.k);
            let scales_fit = match part.scales {
                Some(scales) => self.tensors.range(scales, 0, scale_bytes).map(|_| true)?,
                None => scale_bytes == 0,
            };
            let inside = part.first_row.checked_add(part.n_rows);
            if !scales_fit || inside.is_none_or(|end| end > weight.n) {
                let message = format!("{}: a part of {} is not whole", self.op, weight.name);
                return Err(bad(message));
            }
        }
        let n_rows: usize = weight.parts.iter().map(|part| part.n_rows).sum();
        if n_rows == weight.n {
            Ok(())
        } else {
            let message = format!("{}: {} lacks rows: {n_rows} of {}", self.op, weight.name, weight.n);
            Err(bad(message))
        }
    }

    fn n(&self, buffer: Buffer) -> usize {
        self.recording.shape(buffer).n()
    }

    fn dtype(&self, operand: &'static str, buffer: Buffer, dtype: DType) -> Result<()> {
        let found = self.recording.info(buffer).dtype;
        if found == dtype {
            return Ok(());
        }
        Err(Error::Shape {
            op: self.op,
            operand,
            found: format!("{found:?}"),
            expected: format!("{dtype:?}"),
        })
    }

    /// As many elements.
    fn count(&self, operand: &'static str, buffer: Buffer, dtype: DType, n: usize) -> Result<()> {
        self.dtype(operand, buffer, dtype)?;
        self.equal(operand, buffer, self.n(buffer) == n, &format!("{n} values"))
    }

    /// Rows of `width`, however the outer and the inner extents are grouped; how many.
    fn rows(&self, operand: &'static str, buffer: Buffer, dtype: DType, width: usize) -> Result<usize> {
        self.dtype(operand, buffer, dtype)?;
        let shape = self.recording.shape(buffer);
        trailing(shape, width).ok_or_else(|| self.shape(operand, shape, &format!("[T, {width}]")))
    }

    fn matrix(&self, operand: &'static str, buffer: Buffer, dtype: DType, n_rows: usize, width: usize) -> Result<()> {
        let found = self.rows(operand, buffer, dtype, width)?;
        let expected = format!("[{n_rows}, {width}]");
        // Rows of width 0 cannot be counted, and need not be.
        self.equal(operand, buffer, found == n_rows || width == 0, &expected)
    }

    /// At least `size_bytes`, whatever the element type.
    fn words(&self, operand: &'static str, buffer: Buffer, size_bytes: usize) -> Result<()> {
        let info = self.recording.info(buffer);
        let found = info.dtype.size_bytes(info.shape.n());
        self.equal(operand, buffer, found >= size_bytes as u64, &format!("{size_bytes} bytes"))
    }

    /// Exactly three extents, f32.
    fn extents(&self, operand: &'static str, buffer: Buffer) -> Result<[usize; 3]> {
        self.dtype(operand, buffer, DType::F32)?;
        let shape = self.recording.shape(buffer);
        <[usize; 3]>::try_from(shape.0.as_slice()).map_err(|_| self.shape(operand, shape, "of three extents"))
    }

    fn equal(&self, operand: &'static str, buffer: Buffer, holds: bool, expected: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(self.shape(operand, self.recording.shape(buffer), expected))
    }

    fn shape(&self, operand: &'static str, found: &Shape, expected: &str) -> Error {
        Error::Shape {
            op: self.op,
            operand,
            found: found.to_string(),
            expected: expected.to_owned(),
        }
    }
}

/// How many rows of `width` a shape holds, if its innermost extents make up exactly `width`.
fn trailing(shape: &Shape, width: usize) -> Option<usize> {
    (0..=shape.0.len()).rev().find_map(|i| {
        let (outer, inner) = shape.0.split_at(i);
        (inner.iter().product::<usize>() == width).then(|| outer.iter().product())
    })
}

/// The width of `n_rows` rows, if a shape's outermost extents make up exactly `n_rows`.
fn leading(shape: &Shape, n_rows: usize) -> Option<usize> {
    (0..=shape.0.len()).find_map(|i| {
        let (outer, inner) = shape.0.split_at(i);
        (outer.iter().product::<usize>() == n_rows).then(|| inner.iter().product())
    })
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
