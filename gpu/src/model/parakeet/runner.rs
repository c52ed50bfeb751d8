//! A loaded Parakeet with its memory on one engine: what is prepared for how many frames, and what is written before a play.

use super::config::SUBSAMPLING;
use super::decoder::{Memory, STATE_WORDS};
use super::encoder::{EncoderIo, lengths, positions};
use super::{FrontEnd, Parakeet};
use crate::engine::{Engine, PreparedId, ReadFuture};
use crate::error::{Error, Result};
use crate::model::qwen3_vl::made::Made;
use crate::recording::speech::{LEVELS, RING_WORDS, TdtState};

/// Steps that the ring holds; more than are ever in flight.
pub const RING_LEN: usize = 256;
/// Mel frames that a recording's length is a multiple of: 1.28 s.
const BUCKET: usize = 128;
/// Lengths that stay prepared.
const MAX_BUCKETS: usize = 3;

/// See the file's head.
pub struct Runner {
    pub model: Parakeet,
    pub memory: Memory,
    predict: PreparedId,
    step: PreparedId,
    lengths: crate::tensor::TensorId,
    /// The least recently used first.
    buckets: Vec<Bucket>,
    max_mel: usize,
    keep_taps: bool,
    made: Made,
}

struct Bucket {
    io: EncoderIo,
    prepared: PreparedId,
    made: Made,
}

/// An encoding under way: play slices `0 .. n_slices`.
#[derive(Clone, Copy, Debug)]
pub struct EncodePass {
    pub prepared: PreparedId,
    pub n_slices: usize,
    /// Frames of the encoder that count.
    pub n_enc: usize,
    /// Frames of the encoder in the recording.
    pub n_rows: usize,
}

/// What a step of the transducer did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// A token, or blank.
    pub id: u32,
    pub frame: u32,
    /// As chosen: a blank moves on by one at least.
    pub duration: u32,
    pub next_frame: u32,
    pub log_probability: f32,
}

/// The prediction network after some tokens: what it takes to go on elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// h and c of each layer, then g, as bytes.
    pub values: Vec<u8>,
}

impl Runner {
    /// Makes the decoder's memory for up to `max_mel` mel frames at once. `keep_taps` is for tests.
    ///
    /// Errors: those of the engine; nothing stays on the engine then, the model neither.
    pub fn new<E: Engine>(engine: &mut E, model: Parakeet, max_mel: usize, keep_taps: bool) -> Result<Self> {
        let max_mel = max_mel.clamp(1, 1 << 16).next_multiple_of(BUCKET);
        let mut made = Made::default();
        let mut build = || {
            let memory = create_memory(engine, &mut made, &model, max_mel / SUBSAMPLING)?;
            let lengths = made.create(engine, "lengths", LEVELS as u64 * 4)?;
            let predict = made.prepare(engine, model.decoder.record_predict(&memory)?, false)?;
            let step = made.prepare(engine, model.decoder.record_step(&memory)?, keep_taps)?;
            Ok((memory, lengths, predict, step))
        };
        match build() {
            Ok((memory, lengths, predict, step)) => Ok(Self {
                model,
                memory,
                predict,
                step,
                lengths,
                buckets: Vec::new(),
                max_mel,
                keep_taps,
                made,
            }),
            Err(error) => {
                made.free(engine);
                model.made.free(engine);
                Err(error)
            }
        }
    }

    /// Mel frames that one encoding may have.
    pub fn max_mel(&self) -> usize {
        self.max_mel
    }

    pub fn front_end(&self) -> &FrontEnd {
        &self.model.front_end
    }

    /// The recording of a step, whose taps tests read.
    pub fn prepared_step(&self) -> PreparedId {
        self.step
    }

    /// Uploads normalised log-mel features `[n, n_mels]`, ready to play.
    ///
    /// Errors: [`Error::Prompt`] for none, too many, or a part of a frame.
    pub fn begin_encode<E: Engine>(&mut self, engine: &mut E, features: &[f32]) -> Result<EncodePass> {
        let n_mels = self.model.config.num_mel_bins;
        let n_mel = features.len() / n_mels;
        if n_mel == 0 || n_mel > self.max_mel || !features.len().is_multiple_of(n_mels) {
            return Err(Error::Prompt {
                message: format!(
                    "{} values are not 1 to {} frames of {n_mels} mel bins",
                    features.len(),
                    self.max_mel
                ),
            });
        }
        let rows = n_mel.next_multiple_of(BUCKET);
        let found = self.buckets.iter().position(|bucket| bucket.io.n_mel == rows);
        let bucket = match found {
            Some(i) => self.buckets.remove(i),
            None => self.prepare(engine, rows)?,
        };
        let pass = EncodePass {
            prepared: bucket.prepared,
            n_slices: engine.n_slices(bucket.prepared),
            n_enc: n_mel.div_ceil(SUBSAMPLING),
            n_rows: rows / SUBSAMPLING,
        };
        let written = engine
            .write(bucket.io.features, 0, bytemuck::cast_slice(features))
            .and_then(|()| engine.write(self.lengths, 0, bytemuck::cast_slice(&lengths(n_mel))));
        self.buckets.push(bucket);
        written.map(|()| pass)
    }

    fn prepare<E: Engine>(&mut self, engine: &mut E, n_mel: usize) -> Result<Bucket> {
        while self.buckets.len() >= MAX_BUCKETS {
            self.buckets.remove(0).made.free(engine);
        }
        let c = &self.model.config;
        let mut made = Made::default();
        let mut build = || {
            let table = positions(n_mel / SUBSAMPLING, c.hidden_size);
            let io = EncoderIo {
                n_mel,
                features: made.create(engine, "features", (n_mel * c.num_mel_bins * 4) as u64)?,
                lengths: self.lengths,
                positions: made.upload(engine, "positions", bytemuck::cast_slice(&table))?,
                enc: self.memory.enc,
            };
            let prepared = made.prepare(engine, self.model.encoder.record(&io)?, self.keep_taps)?;
            Ok((io, prepared))
        };
        match build() {
            Ok((io, prepared)) => Ok(Bucket { io, prepared, made }),
            Err(error) => {
                made.free(engine);
                Err(error)
            }
        }
    }

    /// Begins to decode frames `first .. end` of the last encoding: after nothing, or after a prediction of before.
    ///
    /// Errors: [`Error::Prompt`] for frames that are not there, or another model's prediction; those of the engine.
    pub fn begin_decode<E: Engine>(&self, engine: &mut E, first: u32, end: u32, after: Option<&Prediction>) -> Result<()> {
        if end as usize > self.memory.n_enc {
            return Err(Error::Prompt {
                message: format!("frames to {end} were asked for, there are {}", self.memory.n_enc),
            });
        }
        let state = TdtState {
            frame: first,
            end,
            fed: 1,
            run_frame: u32::MAX,
            done: u32::from(first >= end),
            last_id: self.model.config.blank_id(),
            ..TdtState::default()
        };
        engine.write(self.memory.state, 0, bytemuck::bytes_of(&state))?;
        let Some(after) = after else {
            engine.write(self.memory.ids, 0, &self.model.config.blank_id().to_le_bytes())?;
            for (tensor, size) in self.prediction() {
                engine.write(tensor, 0, &vec![0; size as usize])?;
            }
            return engine.play(self.predict);
        };
        let total: u64 = self.prediction().map(|(_, size)| size).sum();
        if after.values.len() as u64 != total {
            return Err(Error::Prompt {
                message: format!("a prediction of {} bytes, this model's have {total}", after.values.len()),
            });
        }
        let mut rest = after.values.as_slice();
        for (tensor, size) in self.prediction() {
            let (values, tail) = rest.split_at(size as usize);
            engine.write(tensor, 0, values)?;
            rest = tail;
        }
        Ok(())
    }

    /// Queues `n` steps; those after the last frame do nothing.
    pub fn steps<E: Engine>(&self, engine: &mut E, n: usize) -> Result<()> {
        engine.play_times(self.step, n as u32)
    }

    /// The ring after all that is queued; see [`steps_in`].
    pub fn read_ring<E: Engine>(&self, engine: &mut E) -> ReadFuture {
        engine.read(self.memory.ring, 0, (RING_LEN * RING_WORDS * 4) as u64)
    }

    /// The prediction network as it is after all that is queued.
    pub async fn read_prediction<E: Engine>(&self, engine: &mut E) -> Result<Prediction> {
        let reads: Vec<ReadFuture> = self.prediction().map(|(tensor, size)| engine.read(tensor, 0, size)).collect();
        let mut prediction = Prediction::default();
        for read in reads {
            prediction.values.extend(read.await?);
        }
        Ok(prediction)
    }

    /// Tensors of the prediction network and their bytes.
    fn prediction(&self) -> impl Iterator<Item = (crate::tensor::TensorId, u64)> {
        let c = &self.model.config;
        let (p, j) = ((c.decoder_hidden_size * 4) as u64, (c.joint_hidden_size * 4) as u64);
        let layers = self.memory.lstm.iter().flat_map(move |&(h, c)| [(h, p), (c, p)]);
        layers.chain([(self.memory.g, j)])
    }

    /// Frees all of it.
    pub fn free<E: Engine>(self, engine: &mut E) {
        self.buckets.into_iter().for_each(|bucket| bucket.made.free(engine));
        self.made.free(engine);
        self.model.made.free(engine);
    }
}

/// Steps `first .. first + n` of a ring that was read.
///
/// Errors: [`Error::Engine`] for a ring that is cut short.
pub fn steps_in(ring: &[u8], first: usize, n: usize) -> Result<Vec<Step>> {
    let step = |i: usize| {
        let at = (first + i) % RING_LEN * RING_WORDS * 4;
        let entry = ring.get(at..at + RING_WORDS * 4)?;
        let words: [u32; RING_WORDS] = bytemuck::pod_read_unaligned(entry);
        let [id, frame, duration, next_frame, log_probability] = words;
        Some(Step {
            id,
            frame,
            duration,
            next_frame,
            log_probability: f32::from_bits(log_probability),
        })
    };
    let steps: Option<Vec<Step>> = (0..n).map(step).collect();
    steps.ok_or_else(|| Error::Engine {
        what: "transducer",
        message: format!("the ring has {} bytes", ring.len()),
    })
}

fn create_memory<E: Engine>(engine: &mut E, made: &mut Made, model: &Parakeet, n_enc: usize) -> Result<Memory> {
    let c = &model.config;
    let (p, j) = ((c.decoder_hidden_size * 4) as u64, (c.joint_hidden_size * 4) as u64);
    let mut lstm = Vec::with_capacity(c.num_decoder_layers);
    for _ in 0..c.num_decoder_layers {
        lstm.push((made.create(engine, "lstm.h", p)?, made.create(engine, "lstm.c", p)?));
    }
    Ok(Memory {
        state: made.create(engine, "transducer state", STATE_WORDS as u64 * 4)?,
        ids: made.create(engine, "transducer ids", 4)?,
        lstm,
        g: made.create(engine, "prediction", j)?,
        enc: made.create(engine, "encoded speech", n_enc as u64 * j)?,
        ring: made.create(engine, "transducer ring", (RING_LEN * RING_WORDS * 4) as u64)?,
        n_enc,
        ring_len: RING_LEN,
    })
}
