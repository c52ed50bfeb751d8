//! Fast forms of the twins: the same numbers within rounding, on all cores and their vector units.
//!
//! Threads are rayon's; where they cannot be had (wasm without shared memory) it runs everything on the caller's.

pub mod attention;
pub mod cached_attention;
pub mod erf;
pub mod exp;
pub mod gemm;
pub mod linear;
mod unpack;
pub mod weights;

use rayon::prelude::*;

/// Values that are worth a task.
const TASK: usize = 16_384;

/// Splits `x` and `y` between rows of `width` and hands the pieces to `f`, on several threads if there is enough of it.
pub fn rows(x: &[f32], width: usize, y: &mut [f32], f: impl Fn(&[f32], &mut [f32]) + Sync) {
    if y.len() <= TASK || width == 0 {
        return f(x, y);
    }
    let piece = (TASK / width).max(1) * width;
    y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| f(x, y));
}

/// As [`rows`] for single values of two operands.
pub fn elements2(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(&[f32], &[f32], &mut [f32]) + Sync) {
    if y.len() <= TASK {
        return f(a, b, y);
    }
    y.par_chunks_mut(TASK)
        .zip(a.par_chunks(TASK))
        .zip(b.par_chunks(TASK))
        .for_each(|((y, a), b)| f(a, b, y));
}
