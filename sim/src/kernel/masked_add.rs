//! Twin of `masked_add`.

/// `y[t] = x[t] + (mask[t] ≠ 0 ? rows[t] : 0)`; x, rows, y `[T, D]`, mask `[T]`.
pub fn masked_add(x: &[f32], rows: &[f32], mask: &[u32], y: &mut [f32]) {
    let width = y.len() / mask.len().max(1);
    for (t, &mask) in mask.iter().enumerate() {
        let (x, rows) = (super::row(x, width, t), super::row(rows, width, t));
        let y = super::row_mut(y, width, t);
        if mask == 0 {
            y.copy_from_slice(x);
        } else {
            super::add::add(x, rows, y);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn masked_add_adds_to_masked_rows() {
        let mut y = [0.0; 4];
        super::masked_add(&[1.0, 2.0, 3.0, 4.0], &[f32::NAN, 6.0, 7.0, 8.0], &[0, 1], &mut y);
        assert_eq!(y, [1.0, 2.0, 10.0, 12.0]);
    }
}
