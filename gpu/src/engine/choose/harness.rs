//! A small model on an engine and its three passes, prepared anew for each choice of algorithms: what they are checked and
//! timed with. Not how answers are made: that is the actor's.

use std::sync::Arc;

use half::f16;

use crate::engine::{Engine, NO_THOUGHT, PreparedId, State};
use crate::error::{Error, Result};
use crate::model::qwen3_vl::Qwen3Vl;
use crate::model::qwen3_vl::load::load;
use crate::model::qwen3_vl::made::Made;
use crate::model::qwen3_vl::random::RandomWeights;
use crate::model::qwen3_vl::text::{ChunkIo, Memory};
use crate::model::qwen3_vl::vision::{VisionIo, grid_inputs};
use crate::protocol::{LoadOptions, Quant};
use crate::recording::Recording;
use crate::sampler::SamplingWords;
use crate::tensor::{DType, TensorId};

/// Tokens a block of the cache.
const BLOCK: usize = 32;
const RING_LEN: usize = 16;

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// A decode step.
    Step,
    /// A chunk of prompt.
    Chunk,
    /// A picture.
    Image,
}

/// Which model, and how much of it.
#[derive(Clone, Debug)]
pub struct Size {
    pub config_json: String,
    pub quant: Quant,
    /// Rows of the chunk.
    pub chunk: usize,
    /// Patches of the picture: rows, columns.
    pub grid: [usize; 2],
    /// Tokens that the cache holds.
    pub context: usize,
}

/// See the file's head.
pub struct Harness {
    pub model: Qwen3Vl,
    pub memory: Memory,
    pub size: Size,
    pub image: VisionIo,
    step: ChunkIo,
    chunk: ChunkIo,
    made: Made,
}

/// The passes as one choice of algorithms lowers them.
pub struct Passes {
    step: PreparedId,
    chunk: PreparedId,
    image: PreparedId,
    made: Made,
}

impl Harness {
    /// Loads random weights and fills the cache with random values, the same for each engine.
    ///
    /// Errors: those of the engine; nothing stays on it then.
    pub async fn load<E: Engine>(engine: &mut E, size: Size) -> Result<Self> {
        let weights = RandomWeights::new("random", &size.config_json, size.quant, 1)?;
        let options = LoadOptions {
            quant: size.quant,
            context_tokens: size.context,
            kv_f16: true,
        };
        let model = load(engine, Arc::new(weights), &options, None).await?;
        let mut made = Made::default();
        match Parts::make(engine, &mut made, &model, &size) {
            Ok(parts) => Ok(Self {
                model,
                memory: parts.memory,
                image: parts.image,
                step: parts.step,
                chunk: parts.chunk,
                size,
                made,
            }),
            Err(error) => {
                made.free(engine);
                model.made.free(engine);
                Err(error)
            }
        }
    }

    pub fn free<E: Engine>(self, engine: &mut E) {
        self.made.free(engine);
        self.model.made.free(engine);
    }

    /// A step, a chunk and a picture.
    pub fn recordings(&self) -> Result<[Recording; 3]> {
        let text = &self.model.text;
        Ok([
            text.record_step(&self.step, &self.memory)?,
            text.record_chunk(&self.chunk, &self.memory, false)?,
            self.model.vision.record(&self.image, "image")?,
        ])
    }

    /// Lowers all three with the algorithms that the engine has now.
    pub fn prepare<E: Engine>(&self, engine: &mut E) -> Result<Passes> {
        let mut made = Made::default();
        let mut build = || {
            let [step, chunk, image] = self.recordings()?;
            let step = made.prepare(engine, step, false)?;
            let chunk = made.prepare(engine, chunk, false)?;
            let image = made.prepare(engine, image, false)?;
            Ok((step, chunk, image))
        };
        match build() {
            Ok((step, chunk, image)) => Ok(Passes {
                step,
                chunk,
                image,
                made,
            }),
            Err(error) => {
                made.free(engine);
                Err(error)
            }
        }
    }

    /// A picture of another size, lowered with the algorithms that the engine has now.
    pub fn picture<E: Engine>(&self, engine: &mut E, grid: [usize; 2]) -> Result<Picture> {
        let mut made = Made::default();
        let mut build = || {
            let io = image(engine, &mut made, &self.model, grid)?;
            made.prepare(engine, self.model.vision.record(&io, "image")?, false)
        };
        match build() {
            Ok(prepared) => Ok(Picture { prepared, made }),
            Err(error) => {
                made.free(engine);
                Err(error)
            }
        }
    }

    /// Says that `kv_len` tokens are in the cache and `ids` come next: one for a step, at most a chunk's for a chunk.
    pub fn feed<E: Engine>(&self, engine: &mut E, kv_len: usize, ids: &[u32]) -> Result<()> {
        let io = if ids.len() == 1 { &self.step } else { &self.chunk };
        let state = State {
            kv_len: kv_len as u32,
            n_tokens: ids.len() as u32,
            position: kv_len as u32 + 1,
            done: 0,
            step: 0,
            max_steps: u32::MAX,
            seed: [0; 2],
            last_id: 0,
            think_left: NO_THOUGHT,
            think_end: 0,
            pad: 0,
        };
        let n = io.n_tokens;
        let mut padded = ids.to_vec();
        padded.resize(n, 0);
        let pos: Vec<u32> = (0..3 * n).map(|i| (kv_len + i % n) as u32).collect();
        engine.write(self.memory.state, 0, bytemuck::bytes_of(&state))?;
        engine.write(io.ids, 0, bytemuck::cast_slice(&padded))?;
        engine.write(io.pos, 0, bytemuck::cast_slice(&pos))
    }

    /// Where the cache holds token `i`, in rows.
    pub fn row(&self, i: usize) -> usize {
        block_of(i / BLOCK, self.memory.n_blocks) as usize * BLOCK + i % BLOCK
    }
}

/// A picture alone.
pub struct Picture {
    prepared: PreparedId,
    made: Made,
}

impl Picture {
    pub fn prepared(&self) -> PreparedId {
        self.prepared
    }

    pub fn free<E: Engine>(self, engine: &mut E) {
        self.made.free(engine);
    }
}

impl Passes {
    pub fn of(&self, pass: Pass) -> PreparedId {
        match pass {
            Pass::Step => self.step,
            Pass::Chunk => self.chunk,
            Pass::Image => self.image,
        }
    }

    pub fn free<E: Engine>(self, engine: &mut E) {
        self.made.free(engine);
    }
}

/// Which block of the cache has the `i`th run of tokens: not the `i`th, so that a kernel that ignores the table is found out.
fn block_of(i: usize, n_blocks: usize) -> u32 {
    ((i + n_blocks / 2) % n_blocks) as u32
}

struct Parts {
    memory: Memory,
    step: ChunkIo,
    chunk: ChunkIo,
    image: VisionIo,
}

impl Parts {
    fn make<E: Engine>(engine: &mut E, made: &mut Made, model: &Qwen3Vl, size: &Size) -> Result<Self> {
        let chunk = |engine: &mut E, made: &mut Made, n: usize| -> Result<ChunkIo> {
            Ok(ChunkIo {
                n_tokens: n,
                ids: made.create(engine, "ids", n as u64 * 4)?,
                pos: made.create(engine, "positions", n as u64 * 12)?,
                media: None,
            })
        };
        Ok(Self {
            memory: memory(engine, made, model, size.context)?,
            step: chunk(engine, made, 1)?,
            chunk: chunk(engine, made, size.chunk)?,
            image: image(engine, made, model, size.grid)?,
        })
    }
}

fn memory<E: Engine>(engine: &mut E, made: &mut Made, model: &Qwen3Vl, context: usize) -> Result<Memory> {
    let c = &model.text.config;
    let n_blocks = context.div_ceil(BLOCK).max(2);
    let n_values = n_blocks * BLOCK * c.num_key_value_heads * c.head_dim;
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f16::from_f32((state >> 8) as f32 / (1 << 23) as f32 - 1.0).to_bits()
    };
    // A layer's worth; the layers may all hold the same.
    let values: Vec<u16> = (0..n_values).map(|_| next()).collect();
    let mut tensor = |name: &str, shift: usize| -> Result<TensorId> {
        let mut values = values.clone();
        values.rotate_left(shift % n_values.max(1));
        made.upload(engine, name, bytemuck::cast_slice(&values))
    };
    let layers = (0..c.num_hidden_layers)
        .map(|_| Ok((tensor("keys", 0)?, tensor("values", 4096)?)))
        .collect::<Result<_>>()?;
    let table: Vec<u32> = (0..n_blocks).map(|i| block_of(i, n_blocks)).collect();
    let greedy = SamplingWords {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        n_stop: 0,
        pad: 0,
        stop: [u32::MAX; crate::sampler::MAX_STOP],
    };
    Ok(Memory {
        layers,
        dtype: DType::F16,
        n_blocks,
        block: BLOCK,
        table: made.upload(engine, "block table", bytemuck::cast_slice(&table))?,
        state: made.create(engine, "state", size_of::<State>() as u64)?,
        sampling: made.upload(engine, "sampling", bytemuck::bytes_of(&greedy))?,
        seen: made.create(engine, "seen", c.vocab_size as u64 * 4)?,
        ring: made.create(engine, "ring", RING_LEN as u64 * 8)?,
        ring_len: RING_LEN,
        hidden: made.create(engine, "last hidden row", c.hidden_size as u64 * 4)?,
    })
}

fn image<E: Engine>(engine: &mut E, made: &mut Made, model: &Qwen3Vl, [rows, columns]: [usize; 2]) -> Result<VisionIo> {
    let c = &model.vision.config;
    let n = rows * columns;
    let inputs = grid_inputs(rows, columns, c.position_side);
    let n_pixels = n * c.patch_size * c.patch_size * 3;
    let pixels: Vec<u8> = (0..n_pixels).map(|i| (i * 31 + i / 97 * 7) as u8).collect();
    if !n_pixels.is_multiple_of(4) {
        return Err(Error::Prompt {
            message: format!("{n_pixels} bytes of pixels"),
        });
    }
    let out = DType::F32.size_bytes(n / 4 * c.out_hidden_size);
    let deepstack = (0..c.deepstack_visual_indexes.len())
        .map(|_| made.create(engine, "deepstack", out))
        .collect::<Result<_>>()?;
    Ok(VisionIo {
        rows,
        columns,
        n_frames: 1,
        frames: made.upload(engine, "frames", &pixels)?,
        pos: made.upload(engine, "patch positions", bytemuck::cast_slice(&inputs.pos))?,
        index: made.upload(engine, "position taps", bytemuck::cast_slice(&inputs.index))?,
        mix: made.upload(engine, "position mix", bytemuck::cast_slice(&inputs.mix))?,
        merged: made.create(engine, "merged", out)?,
        deepstack,
    })
}
