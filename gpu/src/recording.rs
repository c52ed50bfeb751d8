//! A forward pass as a list of logical operations over named buffers. Knows shapes, no adapter and no numbers.
//!
//! Every temporary buffer is written by one operation; only bound tensors are changed in place (`KvAppend`, `Sample`,
//! `Quantize`, and some of speech). A twin of an operation is written from the formula here, not from the WGSL.

pub mod speech;
mod speech_shapes;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::tensor::{DType, Shape, TensorId};
use crate::weights::{Format, Weight};

/// A buffer of a [`Recording`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Buffer(pub u32);

/// What a [`Buffer`] is.
#[derive(Clone, Debug)]
pub struct BufferInfo {
    pub dtype: DType,
    pub shape: Shape,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Lives from the operation that writes it to the last that reads it.
    Temp,
    /// A tensor of the engine, from its first byte.
    Bound(TensorId),
    /// The same memory as another buffer, seen in another shape.
    View(Buffer),
}

/// A model's keys and values of one layer: `[n_blocks, block, K, E]` f32 or f16, found through a block table.
/// Token `i` of the sequence lies in row `i % block` of block `table[i / block]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvLayer {
    pub k: Buffer,
    pub v: Buffer,
    /// `[max_blocks]` u32.
    pub table: Buffer,
    /// Tokens a block.
    pub block: usize,
    pub dtype: DType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeluForm {
    /// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
    Tanh,
    /// 0.5 x (1 + erf(x / √2)), erf to 1e-7 or better
    Erf,
}

/// One logical operation. Letters: `T` rows (tokens, patches), `D` width, `H` query heads, `K` kv heads, `E` head size,
/// `S` keys, `V` vocabulary. All sums are in f32 or better. `state` is [`crate::engine::State`].
#[derive(Clone, Debug)]
pub enum Op {
    /// `y[t] = W x[t] (+ bias)`; x `[T, k]`, W `[n, k]`, bias `[n]`, y `[T, n]`.
    Linear {
        x: Buffer,
        weight: Arc<Weight>,
        bias: Option<Buffer>,
        y: Buffer,
    },
    /// `y = a + b`, all of one shape.
    Add {
        a: Buffer,
        b: Buffer,
        y: Buffer,
    },
    /// `y = x / √(mean(x²) + eps) · weight` over the innermost extent; weight `[D]`.
    RmsNorm {
        x: Buffer,
        weight: Buffer,
        eps: f32,
        y: Buffer,
    },
    /// `y = (x − mean) / √(var + eps) · weight + bias` over the innermost extent (biased variance).
    LayerNorm {
        x: Buffer,
        weight: Buffer,
        bias: Buffer,
        eps: f32,
        y: Buffer,
    },
    Gelu {
        x: Buffer,
        form: GeluForm,
        y: Buffer,
    },
    /// `y = silu(gate) · up`.
    SwiGlu {
        gate: Buffer,
        up: Buffer,
        y: Buffer,
    },
    /// Half-split rotation of x `[T, H, E]`. For j < E/2: `axis = map[j] >> 16, f = map[j] & 0xffff,
    /// (c, s) = table[pos[axis · T + t], f]; y[j] = x[j]·c − x[j+E/2]·s; y[j+E/2] = x[j+E/2]·c + x[j]·s`.
    /// table `[P, F, 2]` f32 (cos, sin); map `[E/2]` u32; pos `[A, T]` u32.
    Rope {
        x: Buffer,
        table: Buffer,
        map: Buffer,
        pos: Buffer,
        y: Buffer,
    },
    /// Every query sees every key: q `[T, H, E]`, k and v `[S, K, E]`, y `[T, H, E]`; query head h uses kv head h / (H/K);
    /// softmax(q·k · scale) in f32.
    Attention {
        q: Buffer,
        k: Buffer,
        v: Buffer,
        scale: f32,
        y: Buffer,
    },
    /// Causal, over the cache: query t is token `state.kv_len + t` and sees tokens `0 ..= state.kv_len + t`
    /// (append first). Rows t ≥ `state.n_tokens` of y are unspecified but finite.
    CachedAttention {
        q: Buffer,
        cache: KvLayer,
        state: Buffer,
        scale: f32,
        y: Buffer,
    },
    /// k, v `[T, K, E]`; for t < `state.n_tokens` writes token `state.kv_len + t` of the cache.
    KvAppend {
        k: Buffer,
        v: Buffer,
        cache: KvLayer,
        state: Buffer,
    },
    /// `y[t] = table[ids[t]]`; table `[V, D]`, ids `[T]` u32 (an id ≥ V gives zeros), y `[T, D]`.
    Embed {
        table: Arc<Weight>,
        ids: Buffer,
        y: Buffer,
    },
    /// `y[t] = mask[t] ≠ 0 ? rows[t] : x[t]`; x, rows, y `[T, D]`, mask `[T]` u32.
    Overlay {
        x: Buffer,
        rows: Buffer,
        mask: Buffer,
        y: Buffer,
    },
    /// `y[t] = x[t] + (mask[t] ≠ 0 ? rows[t] : 0)`.
    MaskedAdd {
        x: Buffer,
        rows: Buffer,
        mask: Buffer,
        y: Buffer,
    },
    /// `y = x[max(state.n_tokens, 1) − 1]`; x `[T, D]`, y `[1, D]`.
    TakeLast {
        x: Buffer,
        state: Buffer,
        y: Buffer,
    },
    /// Pixels to patch vectors. frames `[n_frames, height, width, 3]` u8 (n_frames 1 or 2; one fills both time slots),
    /// y `[P, 3·2·patch²]` f32, P = height/patch · width/patch, values (u8 − 127.5) / 127.5, a vector is
    /// (channel, time, row, column), patches in merge blocks of 2×2 in raster order (reference: qwen3-vl.md §3.5, 3.6).
    Patchify {
        frames: Buffer,
        n_frames: usize,
        height: usize,
        width: usize,
        patch: usize,
        y: Buffer,
    },
    /// `y[t] = Σ_i mix[t, i] · table[index[t, i]]`, i < 4; table `[R, D]` f32, index and mix `[T, 4]` (u32, f32), y `[T, D]`.
    GatherMix {
        table: Buffer,
        index: Buffer,
        mix: Buffer,
        y: Buffer,
    },
    /// Chooses the next token from logits `[1, V]` and moves the state on: see [`crate::sampler`] for the formula.
    Sample(Sample),
    /// Packs raw checkpoint values `[n_rows, k]` of type `src_dtype` into `format` (see [`crate::weights::quant`]).
    /// src: u32 words of the raw little-endian bytes; packed, scales: words as [`Format`] says.
    Quantize {
        src: Buffer,
        src_dtype: RawDType,
        n_rows: usize,
        k: usize,
        format: Format,
        packed: Buffer,
        scales: Option<Buffer>,
    },
    /// What speech alone needs.
    Speech(speech::SpeechOp),
}

/// Operands of [`Op::Sample`].
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// `[1, V]` f32.
    pub logits: Buffer,
    /// [`crate::sampler::SamplingWords`].
    pub sampling: Buffer,
    /// [`crate::engine::State`], changed.
    pub state: Buffer,
    /// `[V]` u32: how often each id was seen; changed.
    pub seen: Buffer,
    /// `[1]` u32: the id that the next decode step embeds; written.
    pub ids: Buffer,
    /// `[3, 1]` u32: its positions; written.
    pub pos: Buffer,
    /// `[ring_len, 2]` u32: (id, bits of the f32 log-probability) at `state.step % ring_len`; written.
    pub ring: Buffer,
}

/// Element types of checkpoints that can be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RawDType {
    F32,
    F16,
    Bf16,
}

impl RawDType {
    pub fn size_bytes(self) -> usize {
        match self {
            RawDType::F32 => 4,
            RawDType::F16 | RawDType::Bf16 => 2,
        }
    }
}

/// A forward pass. Written by a model, lowered to a [`crate::plan::Plan`] by an engine, or played as it is by a simulator.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub name: String,
    pub buffers: Vec<BufferInfo>,
    pub ops: Vec<Op>,
    /// Operations before which the pass may be split into separate submissions; no fusion crosses one. Ascending, no 0.
    pub cuts: Vec<usize>,
    /// Buffers that a reader may ask for afterwards, by name (`lm.layer0.in`); kept alive only if `keep_taps`.
    pub taps: BTreeMap<String, Buffer>,
    pub keep_taps: bool,
}

impl Recording {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// A fresh temporary of f32.
    pub fn temp(&mut self, shape: impl Into<Shape>) -> Buffer {
        self.declare(DType::F32, shape.into(), Place::Temp)
    }

    /// A tensor of the engine as a buffer.
    pub fn bind(&mut self, tensor: TensorId, dtype: DType, shape: impl Into<Shape>) -> Buffer {
        self.declare(dtype, shape.into(), Place::Bound(tensor))
    }

    /// The same memory in another shape with as many elements.
    ///
    /// Errors: [`Error::Shape`] if the number of elements differs.
    pub fn view(&mut self, buffer: Buffer, shape: impl Into<Shape>) -> Result<Buffer> {
        let shape = shape.into();
        let info = self.info(buffer);
        if info.shape.n() != shape.n() {
            return Err(Error::Shape {
                op: "view",
                operand: "buffer",
                found: info.shape.to_string(),
                expected: shape.to_string(),
            });
        }
        let dtype = info.dtype;
        let root = self.root(buffer);
        Ok(self.declare(dtype, shape, Place::View(root)))
    }

    /// Marks a place where the pass may be split into separate submissions.
    pub fn cut(&mut self) {
        if !self.ops.is_empty() && self.cuts.last() != Some(&self.ops.len()) {
            self.cuts.push(self.ops.len());
        }
    }

    /// Gives a buffer a name by which tests read it.
    pub fn tap(&mut self, name: impl Into<String>, buffer: Buffer) {
        self.taps.insert(name.into(), buffer);
    }

    pub fn info(&self, buffer: Buffer) -> &BufferInfo {
        &self.buffers[buffer.0 as usize]
    }

    pub fn shape(&self, buffer: Buffer) -> &Shape {
        &self.info(buffer).shape
    }

    /// The buffer that owns the memory: `buffer` itself, or what it is a view of.
    pub fn root(&self, buffer: Buffer) -> Buffer {
        match self.info(buffer).place {
            Place::View(root) => root,
            _ => buffer,
        }
    }

    /// Ranges of `ops` between cuts, in order; never empty unless there are no operations.
    pub fn slices(&self) -> Vec<std::ops::Range<usize>> {
        let mut starts = vec![0];
        starts.extend(self.cuts.iter().copied().filter(|&cut| cut < self.ops.len()));
        let ends = starts.iter().skip(1).copied().chain([self.ops.len()]);
        starts.iter().copied().zip(ends).map(|(a, b)| a..b).collect()
    }

    fn declare(&mut self, dtype: DType, shape: Shape, place: Place) -> Buffer {
        self.buffers.push(BufferInfo { dtype, shape, place });
        Buffer(self.buffers.len() as u32 - 1)
    }
}

impl Op {
    /// The operation's name, which is its kernel's where one kernel does it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Linear { .. } => "linear",
            Op::Add { .. } => "add",
            Op::RmsNorm { .. } => "rms_norm",
            Op::LayerNorm { .. } => "layer_norm",
            Op::Gelu { .. } => "gelu",
            Op::SwiGlu { .. } => "swiglu",
            Op::Rope { .. } => "rope",
            Op::Attention { .. } => "attention",
            Op::CachedAttention { .. } => "cached_attention",
            Op::KvAppend { .. } => "kv_append",
            Op::Embed { .. } => "embed",
            Op::Overlay { .. } => "overlay",
            Op::MaskedAdd { .. } => "masked_add",
            Op::TakeLast { .. } => "take_last",
            Op::Patchify { .. } => "patchify",
            Op::GatherMix { .. } => "gather_mix",
            Op::Sample(_) => "sample",
            Op::Quantize { .. } => "quantize",
            Op::Speech(op) => op.name(),
        }
    }
}
