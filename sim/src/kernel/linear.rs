//! Twin of `matvec` and `matmul`, which are one operation: `linear`.

use super::weight::PackedRows;

/// `y[t, first_row + i] = Σ_j W[i, j] x[t, j] (+ bias[first_row + i])` for the rows of one part of a weight.
///
/// Shapes: `x [T, k]`; `bias [n]`; `y [T, n]`, of which the columns of the part are written.
pub fn linear(x: &[f32], part: PackedRows<'_>, first_row: usize, bias: Option<&[f32]>, n: usize, y: &mut [f32]) {
    let k = part.k;
    for i in 0..part.n_rows {
        let weights = part.row(i);
        let column = first_row + i;
        for (t, y) in y.chunks_exact_mut(n).enumerate() {
            let x = &x[t * k..(t + 1) * k];
            let sum: f64 = x.iter().zip(&weights).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            y[column] = (sum + bias.map_or(0.0, |bias| f64::from(bias[column]))) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use gpu::weights::Format;

    use super::*;

    #[test]
    fn linear_multiplies_rows_and_adds_the_bias() {
        // W = [[1, 2], [3, 4]] padded to 32 columns; x = [[1, 1], [0, -1]].
        let mut dense = [0f32; 64];
        dense[0..2].copy_from_slice(&[1.0, 2.0]);
        dense[32..34].copy_from_slice(&[3.0, 4.0]);
        let part = PackedRows {
            format: Format::F32,
            n_rows: 2,
            k: 2,
            packed: bytemuck::cast_slice(&dense),
            scales: &[],
        };
        let mut y = [0.0; 6];
        linear(&[1.0, 1.0, 0.0, -1.0], part, 1, Some(&[9.0, 10.0, 20.0]), 3, &mut y);
        assert_eq!(y, [0.0, 13.0, 27.0, 0.0, 8.0, 16.0]);
    }
}
