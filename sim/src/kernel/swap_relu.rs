//! Twin of `swap_relu`.

/// `y[t, c, f] = max(x[t, f, c], 0)` for t < `rows`, else 0; x `[T, F, C]`, y `[T, C, F]`.
pub fn swap_relu(x: &[f32], [n_freqs, n_channels]: [usize; 2], rows: usize, y: &mut [f32]) {
    let size = n_freqs * n_channels;
    if size == 0 {
        return;
    }
    for (t, (x, y)) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)).enumerate() {
        for f in 0..n_freqs {
            for c in 0..n_channels {
                let value = x[f * n_channels + c].max(0.0);
                y[c * n_freqs + f] = if t < rows { value } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn swap_relu_turns_rows_that_count() {
        let mut y = [9.0; 8];
        super::swap_relu(&[1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [2, 2], 1, &mut y);
        assert_eq!(y, [1.0, 3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
