//! Golden vectors: what a small model of random weights gives on the twins, and how far an engine is from it. Every pass
//! that answers are made of is in it: a chunk of prompt whose last rows are padding, steps deep in the cache through a
//! block table, a picture; weights of 4, 8 and 16 bits.
//!
//! The files are made by `cargo test -p tests --test system golden_vectors` with `WRITE_GOLDEN=1`; without, that test holds them
//! to the twins.

use half::f16;

use super::harness::{Harness, Pass, Size};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::protocol::Quant;
use crate::tensor::TensorId;

/// How far an answer may be off, as the root of the mean square against the golden's: that of f16 with sums in f32.
pub const TOLERANCE: f64 = 5e-3;
/// Of a log-probability.
const LOGPROB_TOLERANCE: f64 = 2e-2;

/// Heads and head sizes as in the published models, and few layers; extents that are no powers of two.
const CONFIG: &str = r#"{"model_type": "qwen3_vl", "image_token_id": 1, "video_token_id": 2, "tie_word_embeddings": false,
"text_config": {"vocab_size": 1000, "hidden_size": 512, "intermediate_size": 1280, "num_hidden_layers": 2,
  "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 128, "rope_theta": 5000000,
  "rope_scaling": {"mrope_interleaved": true, "mrope_section": [24, 20, 20], "rope_type": "default"}},
"vision_config": {"depth": 2, "hidden_size": 288, "intermediate_size": 1076, "num_heads": 4, "out_hidden_size": 512,
  "num_position_embeddings": 2304, "deepstack_visual_indexes": [0], "model_type": "qwen3_vl"}}"#;

/// Rows of the chunk, and how many of them are tokens.
const CHUNK: usize = 144;
const TOKENS: usize = 137;
/// Tokens before the first step, and steps.
const DEPTH: usize = 700;
const STEPS: usize = 3;
/// Values that are kept of a row.
const KEPT: usize = 8;

/// The weights that are tried.
pub const QUANTS: [Quant; 2] = [Quant::Q4, Quant::DenseF16];

/// The golden vectors for weights of one of [`QUANTS`].
pub fn golden(quant: Quant) -> &'static [u8] {
    match quant {
        Quant::Q4 => include_bytes!("golden_q4.bin"),
        _ => include_bytes!("golden_f16.bin"),
    }
}

/// What an engine answers: some values of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Keys and values that the last layer appended to the cache, of the chunk, then of the steps.
    pub cached: Vec<f32>,
    /// The last row of the chunk.
    pub hidden: Vec<f32>,
    /// Embeddings of the picture, merged and of the deepstack.
    pub features: Vec<f32>,
    /// Of the ids that the steps chose.
    pub logprobs: Vec<f32>,
}

/// The model of the golden vectors.
pub fn size(quant: Quant) -> Size {
    Size {
        config_json: CONFIG.to_owned(),
        quant,
        chunk: CHUNK,
        grid: [8, 10],
        context: DEPTH + STEPS + 1,
    }
}

/// Plays all passes with the algorithms that the engine has now.
///
/// Errors: those of the engine.
pub async fn answer<E: Engine>(engine: &mut E, harness: &Harness) -> Result<Answer> {
    let passes = harness.prepare(engine)?;
    let answered = play(engine, harness, &|pass| passes.of(pass)).await;
    passes.free(engine);
    answered
}

async fn play<E: Engine>(
    engine: &mut E,
    harness: &Harness,
    prepared: &dyn Fn(Pass) -> crate::engine::PreparedId,
) -> Result<Answer> {
    let ids: Vec<u32> = (0..TOKENS as u32).map(|i| 3 + i * 577 % 997).collect();
    harness.feed(engine, 0, &ids)?;
    engine.play(prepared(Pass::Chunk))?;
    let c = &harness.model.text.config;
    let hidden = read_f32(engine, harness.memory.hidden, c.hidden_size).await?;
    let mut logprobs = Vec::new();
    for step in 0..STEPS {
        // The ids are given, so that a near tie does not lead elsewhere.
        harness.feed(engine, DEPTH + step, &ids[step..=step])?;
        engine.play(prepared(Pass::Step))?;
        let entry = read_f32(engine, harness.memory.ring, 2).await?;
        logprobs.extend(entry.get(1));
    }
    let width = c.num_key_value_heads * c.head_dim;
    let rows: Vec<usize> = (0..TOKENS).chain(DEPTH..DEPTH + STEPS).map(|i| harness.row(i)).collect();
    let n_values = harness.memory.n_blocks * harness.memory.block * width;
    let mut cached = Vec::new();
    if let Some(&(k, v)) = harness.memory.layers.last() {
        for tensor in [k, v] {
            let bytes = engine.read(tensor, 0, n_values as u64 * 2).await?;
            let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect();
            cached.extend(rows.iter().flat_map(|&row| kept(row, &values[row * width..][..width])));
        }
    }
    engine.play(prepared(Pass::Image))?;
    let mut features = Vec::new();
    let (n, width) = (
        harness.image.rows * harness.image.columns / 4,
        harness.model.vision.config.out_hidden_size,
    );
    for &tensor in std::iter::once(&harness.image.merged).chain(&harness.image.deepstack) {
        let values = read_f32(engine, tensor, n * width).await?;
        features.extend(values.chunks(width).enumerate().flat_map(|(row, values)| kept(row, values)));
    }
    Ok(Answer {
        cached,
        hidden: hidden.into_iter().step_by(4).collect(),
        features,
        logprobs,
    })
}

/// [`KEPT`] values of a row, others of each.
fn kept(row: usize, values: &[f32]) -> impl Iterator<Item = f32> {
    (0..KEPT).map(move |i| values[(row * 37 + i * 61) % values.len()])
}

async fn read_f32<E: Engine>(engine: &mut E, tensor: TensorId, n: usize) -> Result<Vec<f32>> {
    let bytes = engine.read(tensor, 0, n as u64 * 4).await?;
    Ok(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
}

impl Answer {
    /// How many values each part has.
    const LENGTHS: [usize; 4] = [2 * (TOKENS + STEPS) * KEPT, 128, 2 * 20 * KEPT, STEPS];

    fn parts(&self) -> [&Vec<f32>; 4] {
        [&self.cached, &self.hidden, &self.features, &self.logprobs]
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let values = self.parts().into_iter().flatten();
        values.flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Errors: `Engine` for bytes of another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        if bytes.len() != 4 * Self::LENGTHS.iter().sum::<usize>() {
            return Err(Error::Engine {
                what: "golden vectors",
                message: format!("{} bytes", bytes.len()),
            });
        }
        let mut at = 0;
        let [cached, hidden, features, logprobs] = Self::LENGTHS.map(|n| {
            at += n;
            values[at - n..at].to_vec()
        });
        Ok(Self {
            cached,
            hidden,
            features,
            logprobs,
        })
    }

    /// The largest error of any part, relative; infinite for a NaN or a log-probability that is off.
    pub fn error(&self, golden: &Answer) -> f64 {
        let [cached, hidden, features, logprobs] = self.errors(golden);
        match logprobs <= LOGPROB_TOLERANCE {
            true => cached.max(hidden).max(features),
            false => f64::INFINITY,
        }
    }

    /// The errors of cache, hidden row and features, relative, and the largest of a log-probability; infinite for a NaN.
    pub fn errors(&self, golden: &Answer) -> [f64; 4] {
        let [found, expected] = [self.parts(), golden.parts()];
        let [cached, hidden, features, _] = [0, 1, 2, 3].map(|i| relative(found[i], expected[i]));
        let pairs = self.logprobs.iter().zip(&golden.logprobs);
        let off = pairs.map(|(a, b)| f64::from((a - b).abs()));
        // A comparison with a NaN would pass it over.
        let logprobs = off.fold(0.0, |worst, off| if off <= worst { worst } else { off });
        [
            cached,
            hidden,
            features,
            if logprobs.is_nan() { f64::INFINITY } else { logprobs },
        ]
    }
}

/// ‖found − expected‖ / ‖expected‖; infinite for a NaN or another length.
fn relative(found: &[f32], expected: &[f32]) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let off: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    let all: f64 = expected.iter().map(|&value| square(value)).sum();
    let error = (off / all).sqrt();
    match found.len() == expected.len() && !error.is_nan() {
        true => error,
        false => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_off_anywhere_is_wrong() -> Result<()> {
        let golden = Answer::from_bytes(golden(Quant::Q4))?;
        assert_eq!(Answer::from_bytes(&golden.to_bytes())?, golden);
        assert_eq!(golden.error(&golden), 0.0);
        let changes: [fn(&mut Answer); 5] = [
            |answer| answer.cached[700] += 3.0,
            |answer| answer.hidden[5] = f32::NAN,
            |answer| answer.features.iter_mut().skip(3).step_by(16).for_each(|value| *value = 0.0),
            |answer| answer.logprobs[2] += 0.1,
            |answer| answer.features.truncate(100),
        ];
        for change in changes {
            let mut wrong = golden.clone();
            change(&mut wrong);
            assert!(wrong.error(&golden) > TOLERANCE);
        }
        Ok(())
    }
}
