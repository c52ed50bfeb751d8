//! A loaded Qwen3-VL with its memory on one engine: what is prepared for which shape, and what is written before a play.
//! Which tokens to feed when is the actor's; what they mean is `text` and `vision`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Qwen3Vl;
use super::features::FeatureTensors;
use super::made::Made;
use super::text::{ChunkIo, MediaIo, Memory};
use super::vision::{VisionIo, grid_inputs};
use crate::engine::{Engine, PreparedId, State};
use crate::error::{Error, Result};
use crate::kv_cache::BlockCopy;
use crate::protocol::{LoadOptions, ModelId, ModelInfo};
use crate::sampler::SamplingWords;
use crate::tensor::DType;

/// Tokens a block of the KV cache.
pub const BLOCK: usize = 32;
/// Sampled ids that the ring holds; far more than are ever in flight.
pub const RING_LEN: usize = 256;
/// Grids that stay prepared.
const MAX_GRIDS: usize = 2;

/// See the file's head.
pub struct Runner {
    pub model: Qwen3Vl,
    pub memory: Memory,
    head: PreparedId,
    decode: PreparedId,
    /// By bucket and whether media are in it.
    chunks: BTreeMap<(usize, bool), (ChunkIo, PreparedId)>,
    /// The least recently used first.
    grids: Vec<Grid>,
    /// Keep what tests read: taps, and the logits of all rows.
    keep_taps: bool,
}

/// The vision tower for pictures of one size.
struct Grid {
    io: VisionIo,
    prepared: PreparedId,
    made: Made,
    /// What a slice took lately.
    slice: Option<Duration>,
}

/// A stretch of prompt for [`Runner::feed`].
pub struct Feed<'a> {
    /// Rows of the recording, at least as many as tokens.
    pub bucket: usize,
    pub ids: &'a [u32],
    pub pos: [&'a [u32]; 3],
    pub media: Vec<MediaRows<'a>>,
    /// `kv_len` and `n_tokens` say where the stretch goes.
    pub state: State,
}

/// Rows of features that replace tokens of a stretch.
pub struct MediaRows<'a> {
    /// First token, counted in the stretch.
    pub token: usize,
    pub features: &'a FeatureTensors,
    /// First row of the features.
    pub row: usize,
    pub n: usize,
}

/// An encoding under way: play slices `0..n_slices`, then [`Runner::finish_encode`].
#[derive(Clone, Copy, Debug)]
pub struct EncodePass {
    pub prepared: PreparedId,
    pub n_slices: usize,
    /// What a slice of such a picture took lately; see [`Runner::keep_pace`].
    pub slice: Option<Duration>,
}

impl Runner {
    /// Makes the cache, the state and the decode step. `keep_taps` is for tests.
    ///
    /// Errors: those of the engine, `OutOfMemory` above all; nothing stays on the engine then, the model neither.
    pub fn new<E: Engine>(engine: &mut E, model: Qwen3Vl, options: &LoadOptions, keep_taps: bool) -> Result<Self> {
        let mut made = Made::default();
        let mut build = || {
            let memory = create_memory(engine, &mut made, &model, options)?;
            let step = create_chunk(engine, &mut made, &model, 1, false)?;
            let head = made.prepare(engine, model.text.record_head(&step, &memory)?, keep_taps)?;
            let decode = made.prepare(engine, model.text.record_step(&step, &memory)?, keep_taps)?;
            Ok((memory, head, decode))
        };
        match build() {
            Ok((memory, head, decode)) => Ok(Self {
                model,
                memory,
                head,
                decode,
                chunks: BTreeMap::new(),
                grids: Vec::new(),
                keep_taps,
            }),
            Err(error) => {
                made.free(engine);
                model.made.free(engine);
                Err(error)
            }
        }
    }

    /// What the other stages need to know.
    pub fn info(&self, id: ModelId) -> ModelInfo {
        let (config, vision) = (&self.model.config, &self.model.config.vision);
        ModelInfo {
            id,
            name: self.model.name.clone(),
            vocab_size: config.text.vocab_size,
            context_tokens: self.memory.n_blocks * self.memory.block,
            patch_size: vision.patch_size,
            merge_size: vision.spatial_merge_size,
            image_token_id: config.image_token_id,
            video_token_id: config.video_token_id,
            stop_ids: self.model.stop_ids.clone(),
            weight_bytes: self.model.weight_bytes,
            cache_bytes: self.cache_bytes(),
        }
    }

    pub fn cache_bytes(&self) -> u64 {
        let c = &self.model.text.config;
        let tokens = self.memory.n_blocks * self.memory.block;
        2 * self.memory.layers.len() as u64 * self.memory.dtype.size_bytes(tokens * c.num_key_value_heads * c.head_dim)
    }

    /// The recordings of the first token and of a decode step, whose taps tests read.
    pub fn prepared_steps(&self) -> (PreparedId, PreparedId) {
        (self.head, self.decode)
    }

    /// Uploads the frames of a picture or pair, `[n_frames, 16·rows, 16·columns, 3]` u8, ready to play.
    ///
    /// Errors: [`Error::Prompt`] for sides that are not whole merge blocks or bytes that do not fit them.
    pub fn begin_encode<E: Engine>(
        &mut self,
        engine: &mut E,
        frames: &[u8],
        n_frames: usize,
        height: usize,
        width: usize,
        tap: &str,
    ) -> Result<EncodePass> {
        let patch = self.model.vision.config.patch_size;
        let bytes = n_frames
            .checked_mul(height)
            .and_then(|n| n.checked_mul(width))
            .and_then(|n| n.checked_mul(3));
        if !(1..=2).contains(&n_frames)
            || bytes != Some(frames.len())
            || !height.is_multiple_of(2 * patch)
            || !width.is_multiple_of(2 * patch)
        {
            return Err(Error::Prompt {
                message: format!(
                    "{n_frames} frames of {width}×{height} in {} bytes; sides must be multiples of {}",
                    frames.len(),
                    2 * patch
                ),
            });
        }
        let (rows, columns) = (height / patch, width / patch);
        let found = self
            .grids
            .iter()
            .position(|Grid { io, .. }| (io.rows, io.columns, io.n_frames) == (rows, columns, n_frames));
        let grid = match found {
            Some(i) => self.grids.remove(i),
            None => self.prepare_grid(engine, rows, columns, n_frames, tap)?,
        };
        let words: Vec<u8>;
        let padded = if frames.len().is_multiple_of(4) {
            frames
        } else {
            words = frames
                .iter()
                .copied()
                .chain(std::iter::repeat_n(0, frames.len().next_multiple_of(4) - frames.len()))
                .collect();
            &words
        };
        let pass = EncodePass {
            prepared: grid.prepared,
            n_slices: engine.n_slices(grid.prepared),
            slice: grid.slice,
        };
        let written = engine.write(grid.io.frames, 0, padded);
        self.grids.push(grid);
        written.map(|()| pass)
    }

    /// Remembers what a slice of the pass that was begun last took.
    pub fn keep_pace(&mut self, slice: Duration) {
        if let Some(grid) = self.grids.last_mut() {
            grid.slice = Some(slice);
        }
    }

    /// Copies the result of the pass that was begun last into tensors of its own.
    pub fn finish_encode<E: Engine>(&mut self, engine: &mut E) -> Result<FeatureTensors> {
        let Some(Grid { io, .. }) = self.grids.last() else {
            return Err(Error::Prompt {
                message: "no encoding was begun".into(),
            });
        };
        let n_tokens = io.rows * io.columns / 4;
        let size = DType::F32.size_bytes(n_tokens * self.model.vision.config.out_hidden_size);
        let mut made = Made::default();
        let mut keep = |name: &str, from| {
            let copy = made.create(engine, name, size)?;
            engine.copy(from, 0, copy, 0, size)?;
            Ok(copy)
        };
        let mut kept = || {
            Ok(FeatureTensors {
                n_tokens,
                merged: keep("features", io.merged)?,
                deepstack: io
                    .deepstack
                    .iter()
                    .map(|&level| keep("deepstack features", level))
                    .collect::<Result<_>>()?,
            })
        };
        match kept() {
            Ok(features) => Ok(features),
            Err(error) => {
                made.free(engine);
                Err(error)
            }
        }
    }

    /// Says where the sequence's blocks are, and makes the copies that must come before appending.
    pub fn set_blocks<E: Engine>(&self, engine: &mut E, blocks: &[u32], copies: &[BlockCopy]) -> Result<()> {
        let c = &self.model.text.config;
        let size = self
            .memory
            .dtype
            .size_bytes(self.memory.block * c.num_key_value_heads * c.head_dim);
        for copy in copies {
            for &(k, v) in &self.memory.layers {
                for tensor in [k, v] {
                    engine.copy(tensor, u64::from(copy.from) * size, tensor, u64::from(copy.to) * size, size)?;
                }
            }
        }
        engine.write(self.memory.table, 0, bytemuck::cast_slice(blocks))
    }

    /// Settings of the answer that the next feeds begin, or go on with after the ids `told`.
    pub fn set_sampling<E: Engine>(&self, engine: &mut E, words: &SamplingWords, told: &[u32]) -> Result<()> {
        if words.repetition_penalty != 1.0 || words.presence_penalty != 0.0 {
            let mut seen = vec![0u32; self.model.text.config.vocab_size];
            for &id in told {
                if let Some(count) = seen.get_mut(id as usize) {
                    *count += 1;
                }
            }
            engine.write(self.memory.seen, 0, bytemuck::cast_slice(&seen))?;
        }
        engine.write(self.memory.sampling, 0, bytemuck::bytes_of(words))
    }

    /// Queues a stretch of prompt; the recording that was played is returned for its taps.
    pub fn feed<E: Engine>(&mut self, engine: &mut E, feed: &Feed<'_>) -> Result<PreparedId> {
        let prepared = self.begin_feed(engine, feed)?;
        engine.play(prepared)?;
        Ok(prepared)
    }

    /// Writes what a stretch of prompt reads. Its slices are to be played before another feed is begun.
    pub fn begin_feed<E: Engine>(&mut self, engine: &mut E, feed: &Feed<'_>) -> Result<PreparedId> {
        let key = (feed.bucket, !feed.media.is_empty());
        if !self.chunks.contains_key(&key) {
            let mut made = Made::default();
            let mut build = || {
                let io = create_chunk(engine, &mut made, &self.model, key.0, key.1)?;
                let recording = self.model.text.record_chunk(&io, &self.memory, self.keep_taps)?;
                let prepared = made.prepare(engine, recording, self.keep_taps)?;
                Ok((io, prepared))
            };
            match build() {
                Ok(chunk) => drop(self.chunks.insert(key, chunk)),
                Err(error) => {
                    made.free(engine);
                    return Err(error);
                }
            }
        }
        let Some((io, prepared)) = self.chunks.get(&key) else {
            return Err(Error::Prompt {
                message: "a chunk was not prepared".into(),
            });
        };
        let rows = |values: &[u32]| -> Vec<u32> {
            let mut row = values.to_vec();
            row.resize(feed.bucket, 0);
            row
        };
        engine.write(io.ids, 0, bytemuck::cast_slice(&rows(feed.ids)))?;
        engine.write(io.pos, 0, bytemuck::cast_slice(&feed.pos.map(rows).concat()))?;
        if let Some(media) = &io.media {
            self.place_media(engine, media, feed)?;
        }
        engine.write(self.memory.state, 0, bytemuck::bytes_of(&feed.state))?;
        Ok(*prepared)
    }

    /// Queues the choice of the first token after the last feed.
    pub fn first_token<E: Engine>(&self, engine: &mut E) -> Result<()> {
        engine.play(self.head)
    }

    /// Queues decode steps.
    pub fn steps<E: Engine>(&self, engine: &mut E, n: u32) -> Result<()> {
        engine.play_times(self.decode, n)
    }

    fn place_media<E: Engine>(&self, engine: &mut E, io: &MediaIo, feed: &Feed<'_>) -> Result<()> {
        let row_bytes = (self.model.text.config.hidden_size * 4) as u64;
        let mut mask = vec![0u32; feed.bucket];
        for rows in &feed.media {
            if rows.row + rows.n > rows.features.n_tokens || rows.token + rows.n > feed.bucket {
                return Err(Error::Prompt {
                    message: "features do not fit their pads".into(),
                });
            }
            mask[rows.token..rows.token + rows.n].fill(1);
            let (from, to, size) = (
                rows.row as u64 * row_bytes,
                rows.token as u64 * row_bytes,
                rows.n as u64 * row_bytes,
            );
            engine.copy(rows.features.merged, from, io.merged, to, size)?;
            for (&source, &target) in rows.features.deepstack.iter().zip(&io.deepstack) {
                engine.copy(source, from, target, to, size)?;
            }
        }
        engine.write(io.mask, 0, bytemuck::cast_slice(&mask))
    }

    fn prepare_grid<E: Engine>(
        &mut self,
        engine: &mut E,
        rows: usize,
        columns: usize,
        n_frames: usize,
        tap: &str,
    ) -> Result<Grid> {
        while self.grids.len() >= MAX_GRIDS {
            self.grids.remove(0).made.free(engine);
        }
        let mut made = Made::default();
        match self.build_grid(engine, &mut made, (rows, columns, n_frames), tap) {
            Ok((io, prepared)) => Ok(Grid {
                io,
                prepared,
                made,
                slice: None,
            }),
            Err(error) => {
                made.free(engine);
                Err(error)
            }
        }
    }

    fn build_grid<E: Engine>(
        &self,
        engine: &mut E,
        made: &mut Made,
        (rows, columns, n_frames): (usize, usize, usize),
        tap: &str,
    ) -> Result<(VisionIo, PreparedId)> {
        let c = &self.model.vision.config;
        let n = rows * columns;
        let inputs = grid_inputs(rows, columns, c.position_side);
        let out = DType::F32.size_bytes(n / 4 * c.out_hidden_size);
        let deepstack = c
            .deepstack_visual_indexes
            .iter()
            .map(|_| made.create(engine, "deepstack", out))
            .collect::<Result<_>>()?;
        let io = VisionIo {
            rows,
            columns,
            n_frames,
            frames: made.create(
                engine,
                "frames",
                DType::U8.size_bytes(n_frames * n * c.patch_size * c.patch_size * 3),
            )?,
            pos: made.upload(engine, "patch positions", bytemuck::cast_slice(&inputs.pos))?,
            index: made.upload(engine, "position taps", bytemuck::cast_slice(&inputs.index))?,
            mix: made.upload(engine, "position mix", bytemuck::cast_slice(&inputs.mix))?,
            merged: made.create(engine, "merged", out)?,
            deepstack,
        };
        let prepared = made.prepare(engine, self.model.vision.record(&io, tap)?, self.keep_taps)?;
        Ok((io, prepared))
    }
}

fn create_memory<E: Engine>(engine: &mut E, made: &mut Made, model: &Qwen3Vl, options: &LoadOptions) -> Result<Memory> {
    let c = &model.text.config;
    let n_blocks = options.context_tokens.div_ceil(BLOCK).max(1);
    let dtype = if options.kv_f16 { DType::F16 } else { DType::F32 };
    let size = dtype.size_bytes(n_blocks * BLOCK * c.num_key_value_heads * c.head_dim);
    let layers = (0..c.num_hidden_layers)
        .map(|_| Ok((made.create(engine, "keys", size)?, made.create(engine, "values", size)?)))
        .collect::<Result<_>>()?;
    Ok(Memory {
        layers,
        dtype,
        n_blocks,
        block: BLOCK,
        table: made.create(engine, "block table", n_blocks as u64 * 4)?,
        state: made.create(engine, "state", size_of::<State>() as u64)?,
        sampling: made.create(engine, "sampling", size_of::<SamplingWords>() as u64)?,
        seen: made.create(engine, "seen", c.vocab_size as u64 * 4)?,
        ring: made.create(engine, "ring", RING_LEN as u64 * 8)?,
        ring_len: RING_LEN,
        hidden: made.create(engine, "last hidden row", c.hidden_size as u64 * 4)?,
    })
}

fn create_chunk<E: Engine>(engine: &mut E, made: &mut Made, model: &Qwen3Vl, n: usize, media: bool) -> Result<ChunkIo> {
    let width = (n * model.text.config.hidden_size * 4) as u64;
    let media = if media {
        let deepstack = model
            .vision
            .deepstack_merger_list
            .iter()
            .map(|_| made.create(engine, "chunk deepstack", width))
            .collect::<Result<_>>()?;
        Some(MediaIo {
            mask: made.create(engine, "chunk mask", n as u64 * 4)?,
            merged: made.create(engine, "chunk features", width)?,
            deepstack,
        })
    } else {
        None
    };
    Ok(ChunkIo {
        n_tokens: n,
        ids: made.create(engine, "chunk ids", n as u64 * 4)?,
        pos: made.create(engine, "chunk positions", n as u64 * 12)?,
        media,
    })
}
