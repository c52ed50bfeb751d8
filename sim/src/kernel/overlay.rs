//! Twin of `overlay`.

/// `y[t] = mask[t] ≠ 0 ? rows[t] : x[t]`; x, rows, y `[T, D]`, mask `[T]`.
pub fn overlay(x: &[f32], rows: &[f32], mask: &[u32], y: &mut [f32]) {
    let width = y.len() / mask.len().max(1);
    for (t, &mask) in mask.iter().enumerate() {
        let from = if mask != 0 { rows } else { x };
        super::row_mut(y, width, t).copy_from_slice(super::row(from, width, t));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn overlay_replaces_masked_rows() {
        let mut y = [0.0; 4];
        super::overlay(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0], &[0, 2], &mut y);
        assert_eq!(y, [1.0, 2.0, 7.0, 8.0]);
    }
}
