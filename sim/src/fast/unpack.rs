//! Packed weights as f32, and their product with one vector, without unpacking them to memory.

use std::ops::Range;

use gpu::weights::{Format, GROUP};
use half::f16;
use half::slice::HalfFloatSliceExt;
use pulp::Arch;
use rayon::prelude::*;

use crate::kernel::weight::PackedRows;

/// Values of a row that are worth a task of their own, times rows.
const TASK_VALUES: usize = 65_536;

/// Half a group: a byte of q4 holds values 2i and 2i + 1.
const HALF: usize = GROUP / 2;

/// Rows `range` of a part as f32 `[n, k]`.
pub fn unpack(rows: PackedRows<'_>, range: Range<usize>) -> Vec<f32> {
    let mut values = vec![0.0; range.len() * rows.k];
    if rows.k == 0 {
        return values;
    }
    let n_rows = (TASK_VALUES / rows.k).max(1);
    values.par_chunks_mut(n_rows * rows.k).enumerate().for_each(|(i, values)| {
        let first = range.start + i * n_rows;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut scales = Vec::new();
                for (j, row) in values.chunks_exact_mut(rows.k).enumerate() {
                    unpack_row(rows, first + j, &mut scales, row);
                }
            },
        );
    });
    values
}

/// `y[i] = Σ_j W[i, j] x[j] (+ bias[i])` for all rows of a part; sums in f32 over 32 lanes.
pub fn matvec(x: &[f32], rows: PackedRows<'_>, bias: Option<&[f32]>, y: &mut [f32]) {
    let x = padded(x, rows.format);
    let n_rows = (TASK_VALUES / rows.k.max(1)).max(1);
    y.par_chunks_mut(n_rows).enumerate().for_each(|(i, y)| {
        let first = i * n_rows;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut scratch = Scratch::default();
                for (j, y) in y.iter_mut().enumerate() {
                    let row = first + j;
                    *y = dot_row(rows, row, &x, &mut scratch) + bias.map_or(0.0, |bias| bias[row]);
                }
            },
        );
    });
}

/// Halves of a row as f32.
#[derive(Default)]
struct Scratch {
    scales: Vec<f32>,
    values: Vec<f32>,
}

/// x with zeros up to whole groups; for q4 the even values of each group before the odd ones, as [`dot_row`] meets them.
fn padded(x: &[f32], format: Format) -> Vec<f32> {
    let mut padded = vec![0.0; x.len().next_multiple_of(GROUP)];
    padded[..x.len()].copy_from_slice(x);
    if format == Format::Q4 {
        for group in padded.as_chunks_mut::<GROUP>().0 {
            let values = *group;
            for i in 0..HALF {
                group[i] = values[2 * i];
                group[i + HALF] = values[2 * i + 1];
            }
        }
    }
    padded
}

#[inline(always)]
fn dot_row(rows: PackedRows<'_>, i: usize, x: &[f32], scratch: &mut Scratch) -> f32 {
    let words = rows.packed_row(i);
    let (x, _) = x.as_chunks::<GROUP>();
    let mut sums = [0f32; GROUP];
    match rows.format {
        Format::F32 => dot(bytemuck::cast_slice(words), x, &mut sums),
        Format::F16 => {
            halves_to(bytemuck::cast_slice(words), &mut scratch.values);
            dot(&scratch.values, x, &mut sums);
        }
        Format::Q8 => {
            halves_to(bytemuck::cast_slice(rows.scale_row(i)), &mut scratch.scales);
            let (groups, _) = bytemuck::cast_slice::<u32, i8>(words).as_chunks::<GROUP>();
            for ((group, x), &scale) in groups.iter().zip(x).zip(&scratch.scales) {
                for j in 0..GROUP {
                    sums[j] += f32::from(group[j]) * scale * x[j];
                }
            }
        }
        Format::Q4 => {
            halves_to(bytemuck::cast_slice(rows.scale_row(i)), &mut scratch.scales);
            let (groups, _) = bytemuck::cast_slice::<u32, u8>(words).as_chunks::<HALF>();
            for ((group, x), &scale) in groups.iter().zip(x).zip(&scratch.scales) {
                for j in 0..HALF {
                    sums[j] += (f32::from(group[j] & 15) - 8.0) * scale * x[j];
                    sums[j + HALF] += (f32::from(group[j] >> 4) - 8.0) * scale * x[j + HALF];
                }
            }
        }
    }
    sum(&sums)
}

#[inline(always)]
fn dot(row: &[f32], x: &[[f32; GROUP]], sums: &mut [f32; GROUP]) {
    for (row, x) in row.as_chunks::<GROUP>().0.iter().zip(x) {
        for j in 0..GROUP {
            sums[j] += row[j] * x[j];
        }
    }
}

/// Pairwise, so that the rounding does not add up.
#[inline(always)]
fn sum(sums: &[f32; GROUP]) -> f32 {
    let mut sums = *sums;
    let mut n = GROUP / 2;
    while n > 0 {
        for j in 0..n {
            sums[j] += sums[j + n];
        }
        n /= 2;
    }
    sums[0]
}

#[inline(always)]
fn unpack_row(rows: PackedRows<'_>, i: usize, scales: &mut Vec<f32>, out: &mut [f32]) {
    let words = rows.packed_row(i);
    match rows.format {
        Format::F32 => out.copy_from_slice(&bytemuck::cast_slice(words)[..out.len()]),
        Format::F16 => bytemuck::cast_slice::<u32, f16>(words)[..out.len()].convert_to_f32_slice(out),
        Format::Q8 => {
            halves_to(bytemuck::cast_slice(rows.scale_row(i)), scales);
            let groups = bytemuck::cast_slice::<u32, i8>(words).chunks_exact(GROUP);
            for ((out, group), &scale) in out.chunks_mut(GROUP).zip(groups).zip(&*scales) {
                for (out, &q) in out.iter_mut().zip(group) {
                    *out = f32::from(q) * scale;
                }
            }
        }
        Format::Q4 => {
            halves_to(bytemuck::cast_slice(rows.scale_row(i)), scales);
            let groups = bytemuck::cast_slice::<u32, u8>(words).chunks_exact(HALF);
            for ((out, group), &scale) in out.chunks_mut(GROUP).zip(groups).zip(&*scales) {
                for (out, &pair) in out.chunks_mut(2).zip(group) {
                    for (out, q) in out.iter_mut().zip([pair & 15, pair >> 4]) {
                        *out = (f32::from(q) - 8.0) * scale;
                    }
                }
            }
        }
    }
}

fn halves_to(halves: &[f16], out: &mut Vec<f32>) {
    out.resize(halves.len(), 0.0);
    halves.convert_to_f32_slice(out);
}
