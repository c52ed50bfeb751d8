//! Twin of `gather_mix`.

/// `y[t] = Σ_i mix[t, i] · table[index[t, i]]`, i < 4; table `[R, D]`, y `[T, D]` with D = `width`.
/// An index ≥ R adds nothing.
pub fn gather_mix(table: &[f32], index: &[u32], mix: &[f32], width: usize, y: &mut [f32]) {
    if width == 0 {
        return;
    }
    for (t, y) in y.chunks_exact_mut(width).enumerate() {
        for (d, y) in y.iter_mut().enumerate() {
            let sum: f64 = (t * 4..t * 4 + 4)
                .filter_map(|i| {
                    let at = (index[i] as usize).checked_mul(width)?.checked_add(d)?;
                    Some(f64::from(mix[i]) * f64::from(*table.get(at)?))
                })
                .sum();
            *y = sum as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn gather_mix_weighs_four_rows() {
        let table = [1.0, 10.0, 2.0, 20.0];
        let mut y = [0.0; 2];
        super::gather_mix(&table, &[0, 1, 1, 9], &[0.5, 0.25, 0.125, 4.0], 2, &mut y);
        assert_eq!(y, [1.25, 12.5]);
    }
}
