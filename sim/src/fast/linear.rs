//! `linear` as a matrix product, and on packed weights for a single row.

use gpu::Result;

use super::gemm::{Matrix, Packed, Right, gemm};
use super::unpack::{matvec, unpack};
use super::weights::PANEL_VALUES;
use crate::kernel::weight::PackedRows;

/// The twin is [`crate::kernel::linear::linear`]; `kept` is the part as the product reads it, if it is.
pub fn linear(
    x: &[f32],
    part: PackedRows<'_>,
    kept: Option<&Packed>,
    first_row: usize,
    bias: Option<&[f32]>,
    n: usize,
    y: &mut [f32],
) -> Result<()> {
    let (k, n_rows) = (part.k, part.n_rows);
    let n_tokens = y.len() / n.max(1);
    let bias = bias.map(|bias| &bias[first_row..first_row + n_rows]);
    if n_tokens == 0 || n_rows == 0 {
        return Ok(());
    }
    if k == 0 {
        return columns(first_row, n_rows, n, y, |y| {
            let row = bias.map_or_else(|| vec![0.0; n_rows], <[f32]>::to_vec);
            y.chunks_exact_mut(n_rows).for_each(|y| y.copy_from_slice(&row));
            Ok(())
        });
    }
    if n_tokens == 1 {
        matvec(x, part, bias, &mut y[first_row..first_row + n_rows]);
        return Ok(());
    }
    let x = Matrix::dense(x, [n_tokens, k]);
    if let Some(packed) = kept {
        return columns(first_row, n_rows, n, y, |y| {
            gemm(x, Right::Packed(packed), 1.0, bias, false, y)
        });
    }
    let step = (PANEL_VALUES / k).max(1);
    for start in (0..n_rows).step_by(step) {
        let end = (start + step).min(n_rows);
        let panel = unpack(part, start..end);
        let weights = Matrix::dense(&panel, [end - start, k]).transposed();
        let bias = bias.map(|bias| &bias[start..end]);
        columns(first_row + start, end - start, n, y, |y| {
            gemm(x, Right::Matrix(weights), 1.0, bias, false, y)
        })?;
    }
    Ok(())
}

/// Lets `f` write dense `[T, width]`, which become columns `first ..` of `y [T, n]`.
fn columns(first: usize, width: usize, n: usize, y: &mut [f32], f: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
    if width == n {
        return f(y);
    }
    let mut dense = vec![0.0; y.len() / n * width];
    f(&mut dense)?;
    for (y, dense) in y.chunks_exact_mut(n).zip(dense.chunks_exact(width)) {
        y[first..first + width].copy_from_slice(dense);
    }
    Ok(())
}

#[cfg(test)]
#[path = "linear_tests.rs"]
pub(crate) mod tests;
