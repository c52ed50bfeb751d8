//! A loaded Qwen3-VL with its memory on one engine: what is prepared for which shape, and what is written before a play.
//! Which tokens to feed when is the actor's; what they mean is `text` and `vision`.

use std::collections::BTreeMap;

use super::Qwen3Vl;
use super::features::{FeatureTensors, ReleaseQueue};
use super::text::{ChunkIo, MediaIo, Memory};
use super::vision::{VisionIo, grid_inputs};
use crate::engine::{Engine, PreparedId, State};
use crate::error::{Error, Result};
use crate::kv_cache::BlockCopy;
use crate::protocol::{LoadOptions, ModelId, ModelInfo};
use crate::recording::Recording;
use crate::sampler::SamplingWords;
use crate::tensor::{DType, TensorId};

/// Tokens a block of the KV cache.
pub const BLOCK: usize = 32;
/// Sampled ids that the ring holds; far more than are ever in flight.
pub const RING_LEN: usize = 256;
/// Prompt tokens fed at once.
pub const MAX_CHUNK: usize = 256;
const MIN_CHUNK: usize = 16;
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
    grids: Vec<(VisionIo, PreparedId)>,
    released: ReleaseQueue,
    next_features: u64,
    /// Keep what tests read: taps, and the logits of all rows.
    keep_taps: bool,
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
}

/// How `n` tokens are cut into recordings: `(bucket, tokens)`, few different buckets, little padding.
pub fn buckets(n: usize) -> Vec<(usize, usize)> {
    let mut left = n;
    let mut cut = Vec::new();
    let mut bucket = MAX_CHUNK;
    while left > 0 {
        while bucket > left && bucket > MIN_CHUNK {
            bucket /= 2;
        }
        let tokens = bucket.min(left);
        cut.push((bucket, tokens));
        left -= tokens;
    }
    cut
}

impl Runner {
    /// Makes the cache, the state and the decode step. `keep_taps` is for tests.
    ///
    /// Errors: those of the engine, `OutOfMemory` above all.
    pub fn new<E: Engine>(
        engine: &mut E,
        model: Qwen3Vl,
        options: &LoadOptions,
        released: ReleaseQueue,
        keep_taps: bool,
    ) -> Result<Self> {
        let memory = create_memory(engine, &model, options)?;
        let step = create_chunk(engine, &model, 1, false)?;
        let head = prepare(engine, model.text.record_head(&step, &memory)?, keep_taps)?;
        let decode = prepare(engine, model.text.record_step(&step, &memory)?, keep_taps)?;
        Ok(Self {
            model,
            memory,
            head,
            decode,
            chunks: BTreeMap::new(),
            grids: Vec::new(),
            released,
            next_features: 1,
            keep_taps,
        })
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
            .position(|(io, _)| (io.rows, io.columns, io.n_frames) == (rows, columns, n_frames));
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
        engine.write(grid.0.frames, 0, padded)?;
        let pass = EncodePass {
            prepared: grid.1,
            n_slices: engine.n_slices(grid.1),
        };
        self.grids.push(grid);
        Ok(pass)
    }

    /// Copies the result of the pass that was begun last into tensors of its own.
    pub fn finish_encode<E: Engine>(&mut self, engine: &mut E) -> Result<FeatureTensors> {
        let Some((io, _)) = self.grids.last() else {
            return Err(Error::Prompt {
                message: "no encoding was begun".into(),
            });
        };
        let n_tokens = io.rows * io.columns / 4;
        let size = DType::F32.size_bytes(n_tokens * self.model.vision.config.out_hidden_size);
        let mut features = FeatureTensors {
            id: self.next_features,
            n_tokens,
            merged: engine.create("features", size)?,
            deepstack: Vec::new(),
            released: self.released.clone(),
        };
        self.next_features += 1;
        engine.copy(io.merged, 0, features.merged, 0, size)?;
        for &level in &io.deepstack {
            let copy = engine.create("deepstack features", size)?;
            features.deepstack.push(copy);
            engine.copy(level, 0, copy, 0, size)?;
        }
        Ok(features)
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

    /// Settings of the answer that the next feeds begin.
    pub fn set_sampling<E: Engine>(&self, engine: &mut E, words: &SamplingWords) -> Result<()> {
        if words.repetition_penalty != 1.0 || words.presence_penalty != 0.0 {
            engine.write(self.memory.seen, 0, &vec![0; self.model.text.config.vocab_size * 4])?;
        }
        engine.write(self.memory.sampling, 0, bytemuck::bytes_of(words))
    }

    /// Queues a stretch of prompt; the recording that was played is returned for its taps.
    pub fn feed<E: Engine>(&mut self, engine: &mut E, feed: &Feed<'_>) -> Result<PreparedId> {
        let key = (feed.bucket, !feed.media.is_empty());
        if !self.chunks.contains_key(&key) {
            let io = create_chunk(engine, &self.model, key.0, key.1)?;
            let recording = self.model.text.record_chunk(&io, &self.memory, self.keep_taps)?;
            let prepared = prepare(engine, recording, self.keep_taps)?;
            self.chunks.insert(key, (io, prepared));
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
        engine.play(*prepared)?;
        Ok(*prepared)
    }

    /// Queues the choice of the first token after the last feed.
    pub fn first_token<E: Engine>(&self, engine: &mut E) -> Result<()> {
        engine.play(self.head)
    }

    /// Queues a decode step.
    pub fn step<E: Engine>(&self, engine: &mut E) -> Result<()> {
        engine.play(self.decode)
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
    ) -> Result<(VisionIo, PreparedId)> {
        while self.grids.len() >= MAX_GRIDS {
            let (io, prepared) = self.grids.remove(0);
            engine.discard(prepared);
            [io.frames, io.pos, io.index, io.mix, io.merged]
                .into_iter()
                .chain(io.deepstack)
                .for_each(|tensor| engine.release(tensor));
        }
        let c = &self.model.vision.config;
        let n = rows * columns;
        let inputs = grid_inputs(rows, columns, c.position_side);
        let out = DType::F32.size_bytes(n / 4 * c.out_hidden_size);
        let deepstack = c
            .deepstack_visual_indexes
            .iter()
            .map(|_| engine.create("deepstack", out))
            .collect::<Result<_>>()?;
        let io = VisionIo {
            rows,
            columns,
            n_frames,
            frames: engine.create("frames", DType::U8.size_bytes(n_frames * n * c.patch_size * c.patch_size * 3))?,
            pos: upload(engine, "patch positions", bytemuck::cast_slice(&inputs.pos))?,
            index: upload(engine, "position taps", bytemuck::cast_slice(&inputs.index))?,
            mix: upload(engine, "position mix", bytemuck::cast_slice(&inputs.mix))?,
            merged: engine.create("merged", out)?,
            deepstack,
        };
        let prepared = prepare(engine, self.model.vision.record(&io, tap)?, self.keep_taps)?;
        Ok((io, prepared))
    }
}

/// A tensor with these bytes.
pub fn upload<E: Engine>(engine: &mut E, name: &str, bytes: &[u8]) -> Result<TensorId> {
    let tensor = engine.create(name, bytes.len() as u64)?;
    engine.write(tensor, 0, bytes)?;
    Ok(tensor)
}

fn prepare<E: Engine>(engine: &mut E, mut recording: Recording, keep_taps: bool) -> Result<PreparedId> {
    recording.keep_taps = keep_taps;
    engine.prepare(recording)
}

fn create_memory<E: Engine>(engine: &mut E, model: &Qwen3Vl, options: &LoadOptions) -> Result<Memory> {
    let c = &model.text.config;
    let n_blocks = options.context_tokens.div_ceil(BLOCK).max(1);
    let dtype = if options.kv_f16 { DType::F16 } else { DType::F32 };
    let size = dtype.size_bytes(n_blocks * BLOCK * c.num_key_value_heads * c.head_dim);
    let layers = (0..c.num_hidden_layers)
        .map(|_| Ok((engine.create("keys", size)?, engine.create("values", size)?)))
        .collect::<Result<_>>()?;
    Ok(Memory {
        layers,
        dtype,
        n_blocks,
        block: BLOCK,
        table: engine.create("block table", n_blocks as u64 * 4)?,
        state: engine.create("state", size_of::<State>() as u64)?,
        sampling: engine.create("sampling", size_of::<SamplingWords>() as u64)?,
        seen: engine.create("seen", c.vocab_size as u64 * 4)?,
        ring: engine.create("ring", RING_LEN as u64 * 8)?,
        ring_len: RING_LEN,
        hidden: engine.create("last hidden row", c.hidden_size as u64 * 4)?,
    })
}

fn create_chunk<E: Engine>(engine: &mut E, model: &Qwen3Vl, n: usize, media: bool) -> Result<ChunkIo> {
    let width = (n * model.text.config.hidden_size * 4) as u64;
    let media = if media {
        let deepstack = model
            .vision
            .deepstack_merger_list
            .iter()
            .map(|_| engine.create("chunk deepstack", width))
            .collect::<Result<_>>()?;
        Some(MediaIo {
            mask: engine.create("chunk mask", n as u64 * 4)?,
            merged: engine.create("chunk features", width)?,
            deepstack,
        })
    } else {
        None
    };
    Ok(ChunkIo {
        n_tokens: n,
        ids: engine.create("chunk ids", n as u64 * 4)?,
        pos: engine.create("chunk positions", n as u64 * 12)?,
        media,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_length_with_less_than_a_bucket_of_padding() {
        for n in 0..1500 {
            let cut = buckets(n);
            assert_eq!(cut.iter().map(|(_, tokens)| tokens).sum::<usize>(), n);
            assert!(
                cut.iter()
                    .all(|&(bucket, tokens)| tokens >= 1 && tokens <= bucket && bucket <= MAX_CHUNK)
            );
            assert!(cut.iter().map(|(bucket, tokens)| bucket - tokens).sum::<usize>() < MIN_CHUNK);
        }
    }
}
