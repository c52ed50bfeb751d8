//! One operation of a recording on the memory of an engine: finds the operands, calls the twin or its fast form.

mod speech;

use gpu::engine::State;
use gpu::recording::{Buffer, GeluForm, KvLayer, Op, Place, Recording, Sample};
use gpu::sampler::SamplingWords;
use gpu::weights::{Weight, WeightPart};
use gpu::{Error, Result};

use crate::engine::Kernels;
use crate::fast;
use crate::fast::weights::WeightCache;
use crate::kernel;
use crate::kernel::attention::AttentionShape;
use crate::kernel::kv_append::CacheLayout;
use crate::kernel::rope::RopeShape;
use crate::kernel::sample::SampleOutputs;
use crate::kernel::weight::PackedRows;
use crate::memory::{Pool, Tensors, Words};

/// What an operation may touch. Temporaries are indexed by buffer; one that is not live is `None`.
pub struct Frame<'a> {
    pub recording: &'a Recording,
    pub tensors: &'a mut Tensors,
    pub temps: &'a mut [Option<Words>],
    pub pool: &'a mut Pool,
    pub weights: &'a mut WeightCache,
    pub kernels: Kernels,
}

impl Frame<'_> {
    /// Plays one operation of a recording that was checked.
    ///
    /// Errors: [`Error::Engine`] if a tensor was released meanwhile or the block table does not reach.
    pub fn play(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Linear { x, weight, bias, y } => self.linear(*x, weight, *bias, *y),
            Op::Add { a, b, y } => self.write(*y, |frame, y| {
                fast::elements2(frame.f32s(*a)?, frame.f32s(*b)?, y, kernel::add::add);
                Ok(())
            }),
            Op::RmsNorm { x, weight, eps, y } => self.write(*y, |frame, y| {
                let weight = frame.f32s(*weight)?;
                fast::rows(frame.f32s(*x)?, weight.len(), y, |x, y| {
                    kernel::rms_norm::rms_norm(x, weight, *eps, y);
                });
                Ok(())
            }),
            Op::LayerNorm { x, weight, bias, eps, y } => self.write(*y, |frame, y| {
                let (weight, bias) = (frame.f32s(*weight)?, frame.f32s(*bias)?);
                fast::rows(frame.f32s(*x)?, weight.len(), y, |x, y| {
                    kernel::layer_norm::layer_norm(x, weight, bias, *eps, y);
                });
                Ok(())
            }),
            Op::Gelu { x, form, y } => self.write(*y, |frame, y| {
                let form = *form;
                fast::rows(frame.f32s(*x)?, 1, y, |x, y| match (frame.kernels, form) {
                    (Kernels::Plain, _) => kernel::gelu::gelu(x, form, y),
                    (Kernels::Fast, GeluForm::Tanh) => fast::exp::gelu_tanh(x, y),
                    (Kernels::Fast, GeluForm::Erf) => fast::erf::gelu_erf(x, y),
                });
                Ok(())
            }),
            Op::SwiGlu { gate, up, y } => self.write(*y, |frame, y| {
                let (gate, up) = (frame.f32s(*gate)?, frame.f32s(*up)?);
                match frame.kernels {
                    Kernels::Plain => fast::elements2(gate, up, y, kernel::swiglu::swiglu),
                    Kernels::Fast => fast::elements2(gate, up, y, fast::exp::swiglu),
                }
                Ok(())
            }),
            Op::Rope { x, table, map, pos, y } => self.write(*y, |frame, y| {
                let shape = RopeShape {
                    n_rows: frame.extent(*x, 0),
                    n_heads: frame.extent(*x, 1),
                    head: frame.extent(*x, 2),
                    n_freqs: frame.extent(*table, 1),
                };
                let (x, table) = (frame.f32s(*x)?, frame.f32s(*table)?);
                kernel::rope::rope(x, table, frame.words(*map)?, frame.words(*pos)?, shape, y);
                Ok(())
            }),
            Op::Attention { q, k, v, scale, y } => self.write(*y, |frame, y| {
                let shape = AttentionShape {
                    n_queries: frame.extent(*q, 0),
                    n_keys: frame.extent(*k, 0),
                    n_heads: frame.extent(*q, 1),
                    n_kv_heads: frame.extent(*k, 1),
                    head: frame.extent(*q, 2),
                };
                let (q, k, v) = (frame.f32s(*q)?, frame.f32s(*k)?, frame.f32s(*v)?);
                let all = |_| shape.n_keys;
                match frame.kernels {
                    Kernels::Plain => kernel::attention::attention(q, k, v, shape, *scale, all, y),
                    Kernels::Fast => fast::attention::attention(q, k, v, shape, *scale, all, y)?,
                }
                Ok(())
            }),
            Op::CachedAttention {
                q,
                cache,
                state,
                scale,
                y,
            } => self.write(*y, |frame, y| {
                let state = frame.state(*state)?;
                let shape = AttentionShape {
                    n_queries: frame.extent(*q, 0),
                    n_keys: 0,
                    n_heads: frame.extent(*q, 1),
                    n_kv_heads: frame.extent(cache.k, 2),
                    head: frame.extent(*q, 2),
                };
                let n_tokens = (state.n_tokens as usize).min(shape.n_queries);
                let cached_attention = match frame.kernels {
                    Kernels::Plain => kernel::cached_attention::cached_attention,
                    Kernels::Fast => fast::cached_attention::cached_attention,
                };
                cached_attention(
                    frame.f32s(*q)?,
                    frame.words(cache.k)?,
                    frame.words(cache.v)?,
                    frame.layout(cache)?,
                    shape,
                    *scale,
                    state.kv_len as usize,
                    n_tokens,
                    y,
                )
            }),
            Op::KvAppend { k, v, cache, state } => {
                self.kv_append(*k, cache.k, cache, *state)?;
                self.kv_append(*v, cache.v, cache, *state)
            }
            Op::Embed { table, ids, y } => self.write(*y, |frame, y| {
                y.fill(0.0);
                let ids = frame.words(*ids)?;
                for part in &table.parts {
                    kernel::embed::embed(ids, packed_rows(frame.tensors, table, part)?, part.first_row, y);
                }
                Ok(())
            }),
            Op::Overlay { x, rows, mask, y } => self.write(*y, |frame, y| {
                let (x, rows) = (frame.f32s(*x)?, frame.f32s(*rows)?);
                kernel::overlay::overlay(x, rows, frame.words(*mask)?, y);
                Ok(())
            }),
            Op::MaskedAdd { x, rows, mask, y } => self.write(*y, |frame, y| {
                let (x, rows) = (frame.f32s(*x)?, frame.f32s(*rows)?);
                kernel::masked_add::masked_add(x, rows, frame.words(*mask)?, y);
                Ok(())
            }),
            Op::TakeLast { x, state, y } => self.write(*y, |frame, y| {
                let n_tokens = frame.state(*state)?.n_tokens as usize;
                kernel::take_last::take_last(frame.f32s(*x)?, n_tokens, y);
                Ok(())
            }),
            Op::Patchify {
                frames,
                n_frames,
                height,
                width,
                patch,
                y,
            } => self.write(*y, |frame, y| {
                let frames = bytemuck::cast_slice(frame.words(*frames)?);
                kernel::patchify::patchify(frames, *n_frames, *height, *width, *patch, y);
                Ok(())
            }),
            Op::GatherMix { table, index, mix, y } => {
                let width = self.recording.shape(*table).last();
                self.write(*y, |frame, y| {
                    let (table, mix) = (frame.f32s(*table)?, frame.f32s(*mix)?);
                    kernel::gather_mix::gather_mix(table, frame.words(*index)?, mix, width, y);
                    Ok(())
                })
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
            } => self.write_words(*packed, |frame, packed| {
                let pack = |frame: &Self, packed: &mut [u32], scales: &mut [u32]| {
                    let src = frame.words(*src)?;
                    kernel::quantize::quantize(src, *src_dtype, *n_rows, *k, *format, packed, scales);
                    Ok(())
                };
                match scales {
                    Some(scales) => frame.write_words(*scales, |frame, scales| pack(frame, packed, scales)),
                    None => pack(frame, packed, &mut []),
                }
            }),
            Op::Speech(op) => self.speech(op),
        }
    }

    /// Frees a temporary.
    pub fn free(&mut self, buffer: Buffer) {
        if let Some(words) = self.temps[buffer.0 as usize].take() {
            self.pool.give(words);
        }
    }

    /// The state in a buffer.
    pub fn state(&self, buffer: Buffer) -> Result<State> {
        let words = self.words(buffer)?;
        let state = words.get(..size_of::<State>() / 4).ok_or_else(gone)?;
        Ok(bytemuck::pod_read_unaligned(bytemuck::cast_slice(state)))
    }

    /// A buffer as words, whatever its element type.
    pub fn words(&self, buffer: Buffer) -> Result<&[u32]> {
        let root = self.recording.root(buffer);
        let words = match self.recording.info(root).place {
            Place::Bound(id) => &self.tensors.get(id)?.words,
            _ => self.temps[root.0 as usize].as_ref().ok_or_else(gone)?,
        };
        words.get(..self.n_words(buffer)).ok_or_else(gone)
    }

    fn f32s(&self, buffer: Buffer) -> Result<&[f32]> {
        Ok(bytemuck::cast_slice(self.words(buffer)?))
    }

    fn n_words(&self, buffer: Buffer) -> usize {
        let info = self.recording.info(buffer);
        (info.dtype.size_bytes(info.shape.n()) / 4) as usize
    }

    fn extent(&self, buffer: Buffer, axis: usize) -> usize {
        self.recording.shape(buffer).0.get(axis).copied().unwrap_or(1)
    }

    /// Gives the words of a buffer to `f`, which sees the rest of the memory beside them. A temporary starts here.
    fn write_words(&mut self, buffer: Buffer, f: impl FnOnce(&mut Self, &mut [u32]) -> Result<()>) -> Result<()> {
        let root = self.recording.root(buffer);
        let n_words = self.n_words(buffer);
        let place = self.recording.info(root).place;
        let mut words = match place {
            Place::Bound(id) => std::mem::take(self.tensors.get_mut(id)?),
            _ => match self.temps[root.0 as usize].take() {
                Some(words) => words,
                None => self.pool.take(self.n_words(root))?,
            },
        };
        let result = match words.get_mut(..n_words) {
            Some(words) => f(self, words),
            None => Err(gone()),
        };
        match place {
            Place::Bound(id) => *self.tensors.get_mut(id)? = words,
            _ => self.temps[root.0 as usize] = Some(words),
        }
        result
    }

    /// As [`Frame::write_words`], for f32.
    fn write(&mut self, buffer: Buffer, f: impl FnOnce(&mut Self, &mut [f32]) -> Result<()>) -> Result<()> {
        self.write_words(buffer, |frame, words| f(frame, bytemuck::cast_slice_mut(words)))
    }

    fn layout(&self, cache: &KvLayer) -> Result<CacheLayout<'_>> {
        let shape = &self.recording.shape(cache.k).0;
        Ok(CacheLayout {
            table: self.words(cache.table)?,
            block: cache.block,
            n_blocks: shape[0],
            width: shape[2] * shape[3],
            dtype: cache.dtype,
        })
    }

    fn linear(&mut self, x: Buffer, weight: &Weight, bias: Option<Buffer>, y: Buffer) -> Result<()> {
        let n_rows = self.recording.shape(y).n() / weight.n.max(1);
        self.write(y, |frame, y| {
            if frame.kernels == Kernels::Fast && n_rows > 1 {
                for part in &weight.parts {
                    let rows = packed_rows(frame.tensors, weight, part)?;
                    frame.weights.keep(frame.tensors, part, rows)?;
                }
            }
            let x = frame.f32s(x)?;
            let bias = bias.map(|bias| frame.f32s(bias)).transpose()?;
            for part in &weight.parts {
                let rows = packed_rows(frame.tensors, weight, part)?;
                match frame.kernels {
                    Kernels::Plain => kernel::linear::linear(x, rows, part.first_row, bias, weight.n, y),
                    Kernels::Fast => {
                        let kept = frame.weights.get(part);
                        fast::linear::linear(x, rows, kept, part.first_row, bias, weight.n, y)?;
                    }
                }
            }
            Ok(())
        })
    }

    fn kv_append(&mut self, x: Buffer, to: Buffer, cache: &KvLayer, state: Buffer) -> Result<()> {
        self.write_words(to, |frame, to| {
            let state = frame.state(state)?;
            let (x, layout) = (frame.f32s(x)?, frame.layout(cache)?);
            let n_tokens = match layout.width {
                0 => 0,
                width => (state.n_tokens as usize).min(x.len() / width),
            };
            kernel::kv_append::kv_append(x, layout, state.kv_len as usize, n_tokens, to)
        })
    }

    fn sample(&mut self, sample: &Sample) -> Result<()> {
        let mut state = self.state(sample.state)?;
        let words = self.words(sample.sampling)?;
        let words = words.get(..size_of::<SamplingWords>() / 4).ok_or_else(gone)?;
        let words: SamplingWords = bytemuck::pod_read_unaligned(bytemuck::cast_slice(words));
        self.write_words(sample.seen, |frame, seen| {
            frame.write_words(sample.ids, |frame, ids| {
                frame.write_words(sample.pos, |frame, pos| {
                    frame.write_words(sample.ring, |frame, ring| {
                        let logits = frame.f32s(sample.logits)?;
                        let out = SampleOutputs { seen, ids, pos, ring };
                        kernel::sample::sample(logits, &words, &mut state, out);
                        Ok(())
                    })
                })
            })
        })?;
        self.write_words(sample.state, |_, words| {
            let state: &[u32] = bytemuck::cast_slice(std::slice::from_ref(&state));
            words[..state.len()].copy_from_slice(state);
            Ok(())
        })
    }
}

/// One part of a weight as it lies in memory.
///
/// Errors: [`Error::Engine`] if a tensor was released.
fn packed_rows<'a>(tensors: &'a Tensors, weight: &Weight, part: &WeightPart) -> Result<PackedRows<'a>> {
    let packed_bytes = weight.format.packed_bytes(part.n_rows, weight.k);
    let scale_bytes = weight.format.scale_bytes(part.n_rows, weight.k);
    Ok(PackedRows {
        format: weight.format,
        n_rows: part.n_rows,
        k: weight.k,
        packed: tensors.range(part.packed, 0, packed_bytes)?,
        scales: match part.scales {
            Some(scales) => tensors.range(scales, 0, scale_bytes)?,
            None => &[],
        },
    })
}

/// Slices were not played in order, or a tensor shrank.
fn gone() -> Error {
    Error::Engine {
        what: "play",
        message: "a buffer is not there: slices are played in order, from the first".to_owned(),
    }
}
