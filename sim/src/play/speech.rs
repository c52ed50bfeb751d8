//! The operations of speech on the twins. Rows of what is long run on all cores; the numbers are the twins' either way.

use gpu::Result;
use gpu::recording::Buffer;
use gpu::recording::speech::{Length, SpeechOp, TdtState, TdtStep};
use rayon::prelude::*;

use super::{Frame, gone};
use crate::fast;
use crate::kernel;
use crate::kernel::rel_attention::RelKeys;

impl Frame<'_> {
    pub(super) fn speech(&mut self, op: &SpeechOp) -> Result<()> {
        match op {
            SpeechOp::Activate { x, form, y } => self.write(*y, |frame, y| {
                fast::rows(frame.f32s(*x)?, 1, y, |x, y| kernel::activate::activate(x, *form, y));
                Ok(())
            }),
            SpeechOp::AddScaled { a, b, scale, y } => self.write(*y, |frame, y| {
                fast::elements2(frame.f32s(*a)?, frame.f32s(*b)?, y, |a, b, y| {
                    kernel::add_scaled::add_scaled(a, b, *scale, y);
                });
                Ok(())
            }),
            SpeechOp::Glu { x, y } => {
                let width = self.extent(*y, 1);
                self.write(*y, |frame, y| {
                    kernel::glu::glu(frame.f32s(*x)?, width, y);
                    Ok(())
                })
            }
            SpeechOp::ConvDown {
                x,
                relu,
                length,
                weight,
                bias,
                y,
            } => {
                let [t, f, channels] = [0, 1, 2].map(|axis| self.extent(*x, axis));
                self.write(*y, |frame, y| {
                    let (x, weight, bias) = (frame.f32s(*x)?, frame.f32s(*weight)?, frame.f32s(*bias)?);
                    let rows = frame.length(length)?.min(t);
                    let row = f.div_ceil(2) * bias.len();
                    y.par_chunks_exact_mut(row.max(1)).enumerate().for_each(|(t, y)| {
                        kernel::conv_down::conv_down_row(x, [rows, f, channels], *relu, weight, bias, t, y);
                    });
                    Ok(())
                })
            }
            SpeechOp::SwapRelu { x, length, y } => {
                let extents = [1, 2].map(|axis| self.extent(*x, axis));
                self.write(*y, |frame, y| {
                    kernel::swap_relu::swap_relu(frame.f32s(*x)?, extents, frame.length(length)?, y);
                    Ok(())
                })
            }
            SpeechOp::DepthwiseConv {
                x,
                length,
                weight,
                bias,
                y,
            } => {
                let t = self.extent(*x, 0);
                self.write(*y, |frame, y| {
                    let (x, weight, bias) = (frame.f32s(*x)?, frame.f32s(*weight)?, frame.f32s(*bias)?);
                    let rows = frame.length(length)?.min(t);
                    y.par_chunks_exact_mut(bias.len().max(1)).enumerate().for_each(|(t, y)| {
                        kernel::depthwise_conv::depthwise_conv_row(x, rows, weight, bias, t, y);
                    });
                    Ok(())
                })
            }
            SpeechOp::RelAttention {
                q,
                k,
                values,
                r,
                u,
                v,
                length,
                scale,
                y,
            } => {
                let [n_rows, n_heads, head] = [0, 1, 2].map(|axis| self.extent(*q, axis));
                self.write(*y, |frame, y| {
                    let q = frame.f32s(*q)?;
                    let keys = RelKeys {
                        k: frame.f32s(*k)?,
                        values: frame.f32s(*values)?,
                        r: frame.f32s(*r)?,
                        u: frame.f32s(*u)?,
                        v: frame.f32s(*v)?,
                        n_rows,
                        n_heads,
                        head,
                        n_keys: frame.length(length)?,
                        scale: *scale,
                    };
                    let row = (n_heads * head).max(1);
                    let rows = y.par_chunks_exact_mut(row).zip(q.par_chunks_exact(row)).enumerate();
                    rows.for_each(|(i, (y, q))| kernel::rel_attention::rel_attention_row(q, i, keys, y));
                    Ok(())
                })
            }
            SpeechOp::TdtHidden { enc, g, state, y } => self.write(*y, |frame, y| {
                let state = frame.tdt_state(*state)?;
                kernel::tdt_hidden::tdt_hidden(frame.f32s(*enc)?, frame.f32s(*g)?, state.frame as usize, y);
                Ok(())
            }),
            SpeechOp::TdtStep(step) => self.tdt_step(step),
            SpeechOp::LstmCell { gates, state, h, c } => {
                if self.tdt_state(*state)?.fed == 0 {
                    return Ok(());
                }
                self.write(*h, |frame, h| {
                    frame.write(*c, |frame, c| {
                        kernel::lstm_cell::lstm_cell(frame.f32s(*gates)?, h, c);
                        Ok(())
                    })
                })
            }
        }
    }

    fn tdt_step(&mut self, step: &TdtStep) -> Result<()> {
        let mut state = self.tdt_state(step.state)?;
        self.write_words(step.ids, |frame, ids| {
            frame.write_words(step.ring, |frame, ring| {
                let (logits, durations) = (frame.f32s(step.logits)?, frame.words(step.durations)?);
                kernel::tdt_step::tdt_step(logits, durations, step.max_symbols, &mut state, ids, ring);
                Ok(())
            })
        })?;
        self.write_words(step.state, |_, words| {
            words.copy_from_slice(bytemuck::cast_slice(std::slice::from_ref(&state)));
            Ok(())
        })
    }

    fn tdt_state(&self, buffer: Buffer) -> Result<TdtState> {
        let words = self.words(buffer)?.get(..size_of::<TdtState>() / 4).ok_or_else(gone)?;
        Ok(bytemuck::pod_read_unaligned(bytemuck::cast_slice(words)))
    }

    fn length(&self, length: &Length) -> Result<usize> {
        let word = self.words(length.lengths)?.get(length.level).copied();
        word.map(|word| word as usize).ok_or_else(gone)
    }
}
