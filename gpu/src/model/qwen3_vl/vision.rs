//! The vision tower: one picture, or one pair of video frames, to the embeddings that replace its pad tokens.
//! Nothing attends across pictures or pairs, so each is a pass of its own.
//! Source: qwen3-vl.md §5 of the reference; `transformers` `modeling_qwen3_vl.py`.
//!
//! Letters: `P` patches, `D` hidden, `H` heads, `E` head size, `F` feed-forward, `N` = P/4 tokens, `O` text hidden.

use super::config::VisionConfig;
use crate::error::{Error, Result};
use crate::model::ops::{Linear, Norm, RopeTable, add, attention, gelu, linear, linear_into, norm, rope};
use crate::recording::{Buffer, GeluForm, Op, Recording};
use crate::tensor::{DType, TensorId};

/// The tower's weights.
#[derive(Clone, Debug)]
pub struct Vision {
    pub config: VisionConfig,
    pub patch_embed: Linear,
    pub pos_embed: TensorId, // [side², D] f32
    pub blocks: Vec<Block>,
    pub merger: Merger,
    pub deepstack_merger_list: Vec<Merger>,
    pub rope: RopeTable,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub norm1: Norm,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub proj: Linear,
    pub norm2: Norm,
    pub linear_fc1: Linear,
    pub linear_fc2: Linear,
}

/// Four adjacent patches to one token.
#[derive(Clone, Debug)]
pub struct Merger {
    pub norm: Norm,
    /// The norm is over the four patches together (deepstack), not over each.
    pub norm_after_concat: bool,
    pub linear_fc1: Linear,
    pub linear_fc2: Linear,
}

/// Inputs and outputs of a pass over one grid, as tensors of the engine.
#[derive(Clone, Debug)]
pub struct VisionIo {
    /// Patches: rows, columns.
    pub rows: usize,
    pub columns: usize,
    /// 1 or 2.
    pub n_frames: usize,
    pub frames: TensorId,         // [n_frames, 16·rows, 16·columns, 3] u8
    pub pos: TensorId,            // [2, P] u32
    pub index: TensorId,          // [P, 4] u32
    pub mix: TensorId,            // [P, 4] f32
    pub merged: TensorId,         // [N, O] f32
    pub deepstack: Vec<TensorId>, // each [N, O] f32
}

/// What [`VisionIo`]'s constant inputs hold for a grid.
pub struct GridInputs {
    pub pos: Vec<u32>,   // [2, P]
    pub index: Vec<u32>, // [P, 4]
    pub mix: Vec<f32>,   // [P, 4]
}

/// Patch positions, and the taps and weights that sample the `side × side` table of learned positions bilinearly with
/// corners aligned; patches in merge blocks of 2×2 in raster order.
pub fn grid_inputs(rows: usize, columns: usize, side: usize) -> GridInputs {
    let n = rows * columns;
    let mut inputs = GridInputs {
        pos: vec![0; 2 * n],
        index: Vec::with_capacity(4 * n),
        mix: Vec::with_capacity(4 * n),
    };
    for patch in 0..n {
        let (block, within) = (patch / 4, patch % 4);
        let row = block / (columns / 2) * 2 + within / 2;
        let column = block % (columns / 2) * 2 + within % 2;
        inputs.pos[patch] = row as u32;
        inputs.pos[n + patch] = column as u32;
        let (row0, row1, row_part) = tap(row, rows, side);
        let (column0, column1, column_part) = tap(column, columns, side);
        for (r, row_mix) in [(row0, 1.0 - row_part), (row1, row_part)] {
            for (c, column_mix) in [(column0, 1.0 - column_part), (column1, column_part)] {
                inputs.index.push((r * side + c) as u32);
                inputs.mix.push(row_mix * column_mix);
            }
        }
    }
    inputs
}

/// Where place `i` of `n` falls on a table of `side` places: floor, its neighbour, and the share of the neighbour.
/// In f32, as the reference's `linspace` has it.
fn tap(i: usize, n: usize, side: usize) -> (usize, usize, f32) {
    let at = if n > 1 {
        i as f32 * ((side - 1) as f32 / (n - 1) as f32)
    } else {
        0.0
    };
    let floor = (at as usize).min(side - 1);
    (floor, (floor + 1).min(side - 1), at - floor as f32)
}

impl Vision {
    /// Records a pass. Taps are named `{tap}.patch_embed`, `{tap}.block0.in`, `{tap}.block0.out`, …
    ///
    /// Errors: [`Error::Prompt`] for a grid that is not of whole merge blocks or passes the rotary table.
    pub fn record(&self, io: &VisionIo, tap: &str) -> Result<Recording> {
        let (c, rows, columns) = (&self.config, io.rows, io.columns);
        if rows == 0
            || columns == 0
            || !rows.is_multiple_of(2)
            || !columns.is_multiple_of(2)
            || rows.max(columns) > self.rope.n_positions
        {
            return Err(Error::Prompt {
                message: format!(
                    "a grid of {rows}×{columns} patches; even numbers up to {} are needed",
                    self.rope.n_positions
                ),
            });
        }
        let n = rows * columns; // P
        let (heads, head) = (c.num_heads, c.head_dim());
        let scale = (head as f32).powf(-0.5);

        let rec = &mut Recording::new(format!("{tap} {columns}x{rows}"));
        let pos = rec.bind(io.pos, DType::U32, [2, n]);
        let mut x = self.embed(rec, io, tap)?; // [P, D]
        rec.tap(format!("{tap}.block0.in"), x);
        for (i, block) in self.blocks.iter().enumerate() {
            let h = norm(rec, x, &block.norm1)?; // [P, D]
            let q = linear(rec, h, &block.q)?; // [P, H·E]
            let k = linear(rec, h, &block.k)?;
            let v = linear(rec, h, &block.v)?;
            let q = rope(rec, q, &self.rope, pos)?; // [P, H, E]
            let k = rope(rec, k, &self.rope, pos)?;
            let v = rec.view(v, [n, heads, head])?;
            rec.cut();
            let h = attention(rec, q, k, v, scale)?; // [P, H·E]
            let h = linear(rec, h, &block.proj)?; // [P, D]
            x = add(rec, x, h)?;
            rec.cut();
            let h = norm(rec, x, &block.norm2)?;
            let h = linear(rec, h, &block.linear_fc1)?; // [P, F]
            let h = gelu(rec, h, GeluForm::Tanh);
            let h = linear(rec, h, &block.linear_fc2)?; // [P, D]
            x = add(rec, x, h)?;
            rec.tap(format!("{tap}.block{i}.out"), x);
            if let Some(level) = c.deepstack_visual_indexes.iter().position(|&layer| layer == i) {
                let y = rec.bind(io.deepstack[level], DType::F32, [n / 4, c.out_hidden_size]);
                self.deepstack_merger_list[level].record(rec, x, y)?;
                rec.tap(format!("{tap}.deepstack{level}"), y);
            }
            rec.cut();
        }
        let y = rec.bind(io.merged, DType::F32, [n / 4, c.out_hidden_size]);
        self.merger.record(rec, x, y)?; // [N, O]
        rec.tap(format!("{tap}.merged"), y);
        Ok(std::mem::take(rec))
    }

    /// Pixels to patches with their learned positions, `[P, D]`.
    fn embed(&self, rec: &mut Recording, io: &VisionIo, tap: &str) -> Result<Buffer> {
        let (c, n) = (&self.config, io.rows * io.columns);
        let (height, width) = (io.rows * c.patch_size, io.columns * c.patch_size);
        let frames = rec.bind(io.frames, DType::U8, [io.n_frames, height, width, 3]);
        let patches = rec.temp([n, c.patch_dim()]);
        rec.ops.push(Op::Patchify {
            frames,
            n_frames: io.n_frames,
            height,
            width,
            patch: c.patch_size,
            y: patches,
        });
        rec.tap(format!("{tap}.pixel_values"), patches);
        let x = linear(rec, patches, &self.patch_embed)?; // [P, D]
        rec.tap(format!("{tap}.patch_embed"), x);
        let table = rec.bind(self.pos_embed, DType::F32, [c.position_side * c.position_side, c.hidden_size]);
        let index = rec.bind(io.index, DType::U32, [n, 4]);
        let mix = rec.bind(io.mix, DType::F32, [n, 4]);
        let positions = rec.temp([n, c.hidden_size]);
        rec.ops.push(Op::GatherMix {
            table,
            index,
            mix,
            y: positions,
        });
        add(rec, x, positions)
    }
}

impl Merger {
    /// `x [P, D]` → `y [P/4, O]`.
    fn record(&self, rec: &mut Recording, x: Buffer, y: Buffer) -> Result<()> {
        let (n, width) = (rec.shape(x).rows(), rec.shape(x).last());
        let h = if self.norm_after_concat {
            let x = rec.view(x, [n / 4, 4 * width])?;
            norm(rec, x, &self.norm)?
        } else {
            let h = norm(rec, x, &self.norm)?;
            rec.view(h, [n / 4, 4 * width])?
        };
        let h = linear(rec, h, &self.linear_fc1)?; // [N, 4·D]
        let h = gelu(rec, h, GeluForm::Erf);
        linear_into(rec, h, &self.linear_fc2, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_come_in_merge_blocks() {
        let inputs = grid_inputs(4, 6, 10);
        let at: Vec<_> = (0..24).map(|p| (inputs.pos[p], inputs.pos[24 + p])).collect();
        assert_eq!(at[..5], [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]);
        assert_eq!(at[12], (2, 0));
        assert_eq!(at[23], (3, 5));
    }

    #[test]
    fn corners_of_the_position_table_are_aligned_and_weights_sum_to_one() {
        for (rows, columns, side) in [(2, 2, 10), (4, 6, 10), (48, 2, 48), (68, 120, 48)] {
            let inputs = grid_inputs(rows, columns, side);
            let last = 4 * (rows * columns - 1);
            let heaviest = (last..last + 4)
                .max_by(|&a, &b| inputs.mix[a].total_cmp(&inputs.mix[b]))
                .unwrap_or(last);
            assert_eq!(inputs.index[0], 0);
            assert_eq!(inputs.index[heaviest] as usize, side * side - 1, "{rows}×{columns}");
            for mix in inputs.mix.chunks(4) {
                assert!((mix.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                assert!(mix.iter().all(|&m| (0.0..=1.0).contains(&m)));
            }
        }
    }
}
