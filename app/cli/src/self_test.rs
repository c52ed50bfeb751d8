//! `qwglm doctor`'s question to an engine: does it compute what the twins compute? A recording of a few operations, small
//! enough for any machine. Not the tests of kernels: those are in `sim` and `tests`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpu::Result;
use gpu::engine::Engine;
use gpu::model::ops::{self, Linear, Norm};
use gpu::recording::{GeluForm, Recording};
use gpu::tensor::{DType, TensorId};
use gpu::weights::{Format, Weight, WeightPart, quant};
use sim::{Kernels, SimEngine};

/// Rows, heads, head size, and the width that they make: no multiple of any kernel's tile.
const T: usize = 5;
const H: usize = 3;
const E: usize = 72;
const D: usize = H * E;
/// Width of the feed-forward part.
const F: usize = 200;

/// How far an engine may be from the twins, as the root of the mean square: the bound of f32 logits.
pub const TOLERANCE: f64 = 1e-5;

/// What an engine answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// ‖a − b‖ / ‖b‖ against the twins.
    pub error: f64,
    /// Preparing included.
    pub took: Duration,
}

impl Answer {
    pub fn is_right(&self) -> bool {
        self.error <= TOLERANCE
    }
}

/// Plays the recording on `engine` and on the twins, with every format of weights.
///
/// Errors: those of the engine.
pub async fn self_test(engine: &mut impl Engine) -> Result<Answer> {
    let mut worst = Answer {
        error: 0.0,
        took: Duration::ZERO,
    };
    let mut twins = SimEngine::new(Kernels::Plain);
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        let started = Instant::now();
        let found = block(engine, format).await?;
        worst.took += started.elapsed();
        let error = relative_error(&found, &block(&mut twins, format).await?);
        // A NaN is as wrong as can be.
        worst.error = if error.is_nan() {
            f64::INFINITY
        } else {
            worst.error.max(error)
        };
    }
    Ok(worst)
}

/// A block of a transformer: `[T, D]` after attention and a gated feed-forward part.
async fn block<G: Engine>(engine: &mut G, format: Format) -> Result<Vec<f32>> {
    let mut held = Held {
        engine,
        tensors: Vec::new(),
    };
    let x = held.vector("x", &values(1, T * D, 1.0))?;
    let norm = Norm {
        weight: held.vector("norm", &values(2, D, 0.5))?,
        bias: None,
        eps: 1e-6,
    };
    let layer_norm = Norm {
        bias: Some(held.vector("bias", &values(3, D, 0.1))?),
        ..norm
    };
    let q = held.linear("q", (4, D, D), format)?;
    let k = held.linear("k", (5, D, D), format)?;
    let v = held.linear("v", (6, D, D), format)?;
    let gate = held.linear("gate", (7, F, D), format)?;
    let up = held.linear("up", (8, F, D), format)?;
    let down = held.linear("down", (9, D, F), format)?;
    let out = held.vector("y", &[0.0; T * D])?;

    let rec = &mut Recording::new(format!("self test {}", format.name()));
    let x = rec.bind(x, DType::F32, [T, D]);
    let h = ops::norm(rec, x, &norm)?; // [T, D]
    let mut heads = Vec::new();
    for layer in [&q, &k, &v] {
        let y = ops::linear(rec, h, layer)?;
        heads.push(rec.view(y, [T, H, E])?);
    }
    let a = ops::attention(rec, heads[0], heads[1], heads[2], (E as f32).powf(-0.5))?; // [T, D]
    let x = ops::add(rec, x, a)?;
    let h = ops::norm(rec, x, &layer_norm)?;
    let (gate, up) = (ops::linear(rec, h, &gate)?, ops::linear(rec, h, &up)?); // [T, F]
    let h = ops::swiglu(rec, gate, up)?;
    let h = ops::gelu(rec, h, GeluForm::Tanh);
    let y = rec.bind(out, DType::F32, [T, D]);
    ops::linear_into(rec, h, &down, y)?;
    let prepared = held.engine.prepare(std::mem::take(rec))?;
    let played = held.engine.play(prepared);
    let read = held.engine.read(out, 0, (T * D * 4) as u64);
    let bytes = match played {
        Ok(()) => read.await,
        Err(error) => Err(error),
    };
    held.engine.discard(prepared);
    let chunks = bytes?;
    Ok(chunks
        .chunks_exact(4)
        .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect())
}

/// An engine, and what was made on it; dropping this frees it there.
struct Held<'a, G: Engine> {
    engine: &'a mut G,
    tensors: Vec<TensorId>,
}

impl<G: Engine> Held<'_, G> {
    fn words(&mut self, name: &str, words: &[u32]) -> Result<TensorId> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let tensor = self.engine.create(name, bytes.len() as u64)?;
        self.tensors.push(tensor);
        self.engine.write(tensor, 0, &bytes)?;
        Ok(tensor)
    }

    fn vector(&mut self, name: &str, values: &[f32]) -> Result<TensorId> {
        let words: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        self.words(name, &words)
    }

    /// `(seed, n, k)`.
    fn linear(&mut self, name: &str, (seed, n, k): (u32, usize, usize), format: Format) -> Result<Linear> {
        let rows = quant::pack(format, &values(seed, n * k, (k as f32).powf(-0.5)), n, k);
        let packed = self.words(name, &rows.packed)?;
        let scales = if format.has_scales() {
            Some(self.words(name, &rows.scales)?)
        } else {
            None
        };
        let parts = vec![WeightPart {
            first_row: 0,
            n_rows: n,
            packed,
            scales,
        }];
        Ok(Linear {
            weight: Arc::new(Weight {
                name: name.to_owned(),
                format,
                n,
                k,
                parts,
            }),
            bias: None,
        })
    }
}

impl<G: Engine> Drop for Held<'_, G> {
    fn drop(&mut self) {
        for tensor in self.tensors.drain(..) {
            self.engine.release(tensor);
        }
    }
}

/// Numbers between `-scale` and `scale` that look like noise and are the same everywhere.
fn values(seed: u32, n: usize, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next() * scale).collect()
}

fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    let norm: f64 = expected.iter().map(|value| square(*value)).sum();
    if found.len() == expected.len() && norm > 0.0 {
        (difference / norm).sqrt()
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_simulator_agrees_with_the_twins() {
        let answer = futures::executor::block_on(self_test(&mut SimEngine::new(Kernels::Fast))).unwrap();
        assert!(answer.is_right(), "{answer:?}");
        assert!(
            answer.error > 0.0,
            "the fast path sums in another order: it cannot agree to the last bit"
        );
    }

    #[test]
    fn what_is_wrong_is_far_off() {
        assert!(relative_error(&[1.0, 2.0], &[1.0, 2.01]) > TOLERANCE);
        assert_eq!(relative_error(&[], &[]), f64::INFINITY);
        assert!(
            !Answer {
                error: f64::INFINITY,
                took: Duration::ZERO
            }
            .is_right()
        );
    }
}
