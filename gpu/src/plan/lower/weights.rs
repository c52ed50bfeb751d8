//! Lowering of what reads or makes weights: linear layers, embeddings, packing.

use super::Lowering;
use crate::error::{Error, Result};
use crate::kernel::embed::Embed;
use crate::kernel::linear::{Linear, WeightRows};
use crate::kernel::matmul::{self, Matmul};
use crate::kernel::matmul_coop::{MatmulCoop, Tile};
use crate::kernel::matmul_direct::MatmulDirect;
use crate::kernel::matvec::{MAX_T, Matvec};
use crate::kernel::quantize::Quantize;
use crate::kernel::{Memory, Operand};
use crate::plan::Product;
use crate::plan::fuse::Tail;
use crate::plan::halves;
use crate::recording::{Buffer, Op, RawDType};
use crate::tensor::TensorId;
use crate::weights::{Format, Weight, WeightPart, k_padded};

/// Workgroups that a big adapter runs at once.
const MANY_TILES: usize = 96;
/// Workgroups of a large tile that run at a time: cores of the one adapter that tiles were measured on (H100). No interface tells
/// their number; where there are others, tiles are only chosen less well.
const CORES: usize = 132;

/// Whether there are so many tiles of this side.
fn enough(t: usize, n_rows: usize, side: usize) -> bool {
    t.div_ceil(side) * n_rows.div_ceil(side) >= MANY_TILES
}

/// The tile that keeps the adapter busy: a large one if there are enough of it and `memory_bytes` of a workgroup hold it.
fn tile(t: usize, n_rows: usize, memory_bytes: u32) -> Tile {
    let (wide, medium) = (Tile::Wide.count(t, n_rows), Tile::Medium.count(t, n_rows));
    match wide >= MANY_TILES && Tile::Wide.shared_bytes() <= memory_bytes {
        // Rounds of both take as long (H100, µs; k/n 1152/1152: 104 → 93, 4304/1152: 365 → 334; 1152/4304, 9 → 11: 282 → 330).
        true if medium > wide && medium.div_ceil(CORES) <= wide.div_ceil(CORES) => Tile::Medium,
        true => Tile::Wide,
        false => Tile::Small,
    }
}

impl Lowering<'_> {
    /// Rows of a weight's part, as kernels read them.
    pub(super) fn rows(&self, weight: &Weight, part: &WeightPart) -> Result<WeightRows> {
        let tensor = |id: TensorId, size_bytes: u64| Operand {
            memory: Memory::Tensor(id),
            size_bytes,
        };
        let scale_bytes = weight.format.scale_bytes(part.n_rows, weight.k);
        if part.scales.is_some() != weight.format.has_scales() || part.first_row + part.n_rows > weight.n {
            return Err(Error::Shape {
                op: "linear",
                operand: "weight",
                found: format!("{}: {part:?}", weight.name),
                expected: format!("rows of {} in format {}", weight.n, weight.format.name()),
            });
        }
        Ok(WeightRows {
            format: weight.format,
            packed: tensor(part.packed, weight.format.packed_bytes(part.n_rows, weight.k)),
            scales: part.scales.map(|id| tensor(id, scale_bytes)),
            first_row: part.first_row,
            n_rows: part.n_rows,
            k_padded: k_padded(weight.k),
        })
    }

    /// A linear layer into `y`, with what was fused to it; one dispatch a part of the weight.
    pub(super) fn linear(&mut self, linear_idx: usize, y: Buffer, tail: Option<Tail>) -> Result<()> {
        let op = &self.recording.ops[linear_idx];
        if self.decoding.linears.contains(&linear_idx) {
            return self.dot_linear(op, y, tail);
        }
        let Op::Linear { x, weight, bias, .. } = op else {
            return Ok(());
        };
        let (n, k) = (weight.n, weight.k);
        let rows = self.recording.shape(*x).rows();
        let t = if k == 0 { self.n(y).checked_div(n).unwrap_or(0) } else { rows };
        self.expect("linear", "x", *x, &[t, k])?;
        self.expect("linear", "y", y, &[t, n])?;
        if let Some(bias) = bias {
            self.expect("linear", "bias", *bias, &[n])?;
        }
        let addend = match tail {
            Some(Tail::Add(addend)) => Some(addend),
            _ => None,
        };
        if let Some(addend) = addend {
            self.expect("add", "addend", addend, &[t, n])?;
        }
        let coop = halves::is_coop(weight, t, &self.variants);
        let half = self.is_half(y);
        let x = match coop {
            true => self.halved(*x)?,
            false => self.operand(*x),
        };
        for part in &weight.parts {
            if t * part.n_rows == 0 {
                continue;
            }
            let linear = Linear {
                weight: self.rows(weight, part)?,
                x,
                bias: bias.map(|bias| self.operand(bias)),
                addend: addend.map(|addend| self.operand(addend)),
                gelu: match tail {
                    Some(Tail::Gelu(form)) => Some(form),
                    _ => None,
                },
                y: self.operand(y),
                t,
                n,
                k,
            };
            if coop {
                let tile = tile(t, part.n_rows, self.tile_memory);
                self.push(MatmulCoop {
                    linear,
                    up: None,
                    half,
                    tile,
                })?;
            } else if t <= MAX_T {
                let workgroup = self.tuning.row;
                self.push(Matvec { linear, workgroup })?;
            } else if self.variants.matmul == Product::Direct {
                let workgroup = self.tuning.row;
                self.push(MatmulDirect { linear, workgroup })?;
            } else {
                let wide = enough(t, part.n_rows, matmul::side(true) as usize);
                self.push(Matmul { linear, wide })?;
            }
        }
        Ok(())
    }

    /// `silu(x Gᵀ) · (x Uᵀ)` into `y`, for the operations of G and U.
    pub(super) fn pair(&mut self, [gate_idx, up_idx]: [usize; 2], y: Buffer) -> Result<()> {
        let ops = &self.recording.ops;
        let (Op::Linear { x, weight, .. }, Op::Linear { weight: up, .. }) = (&ops[gate_idx], &ops[up_idx]) else {
            return Ok(());
        };
        let (t, n, k) = (self.recording.shape(*x).rows(), weight.n, weight.k);
        self.expect("swiglu", "x", *x, &[t, k])?;
        self.expect("swiglu", "y", y, &[t, n])?;
        let half = self.is_half(y);
        let x = self.halved(*x)?;
        for (part, up_part) in weight.parts.iter().zip(&up.parts) {
            if part.n_rows == 0 {
                continue;
            }
            let linear = Linear {
                weight: self.rows(weight, part)?,
                x,
                bias: None,
                addend: None,
                gelu: None,
                y: self.operand(y),
                t,
                n,
                k,
            };
            let tile = tile(t, 2 * part.n_rows, self.tile_memory);
            let up = Some(self.rows(up, up_part)?);
            self.push(MatmulCoop { linear, up, half, tile })?;
        }
        Ok(())
    }

    /// The first part writes zeros for ids of other parts, which write theirs after it.
    pub(super) fn embed(&mut self, table: &Weight, ids: Buffer, y: Buffer) -> Result<()> {
        let (t, d) = (self.n(ids), table.k);
        self.expect("embed", "y", y, &[t, d])?;
        if t * d == 0 {
            return Ok(());
        }
        for (i, part) in table.parts.iter().enumerate() {
            self.push(Embed {
                weight: self.rows(table, part)?,
                ids: self.operand(ids),
                y: self.operand(y),
                t,
                d,
                fill: i == 0,
                workgroup: self.tuning.lanes,
            })?;
        }
        Ok(())
    }

    pub(super) fn quantize(
        &mut self,
        src: Buffer,
        src_dtype: RawDType,
        [n_rows, k]: [usize; 2],
        format: Format,
        packed: Buffer,
        scales: Option<Buffer>,
    ) -> Result<()> {
        let (src, packed) = (self.operand(src), self.operand(packed));
        let scales = scales.map(|scales| self.operand(scales));
        let needed = [
            ("src", src.size_bytes, (n_rows * k * src_dtype.size_bytes()) as u64),
            ("packed", packed.size_bytes, format.packed_bytes(n_rows, k)),
            ("scales", scales.map_or(0, |s| s.size_bytes), format.scale_bytes(n_rows, k)),
        ];
        for (operand, found, expected) in needed {
            if found < expected {
                return Err(Error::Shape {
                    op: "quantize",
                    operand,
                    found: format!("{found} bytes"),
                    expected: format!("{expected} bytes"),
                });
            }
        }
        if n_rows * k == 0 {
            return Ok(());
        }
        self.push(Quantize {
            src,
            src_dtype,
            n_rows,
            k,
            format,
            packed,
            scales: scales.filter(|_| format.has_scales()),
            workgroup: self.tuning.lanes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_tile_is_taken_where_it_costs_no_round_more() {
        let memory = Tile::Wide.shared_bytes();
        assert_eq!(tile(4096, 1152, memory), Tile::Medium, "384 for 288 in three rounds");
        assert_eq!(tile(4096, 4304, memory), Tile::Wide, "nine rounds for eleven");
        assert_eq!(tile(880, 1152, memory), Tile::Small, "63 wide ones");
        assert_eq!(tile(4096, 1152, memory - 1), Tile::Small);
    }
}
