//! Twin of `embed`.

use super::weight::PackedRows;

/// `y[t] = table[ids[t]]` for the ids that lie in one part, which starts at row `first_row`; other rows stay.
pub fn embed(ids: &[u32], part: PackedRows<'_>, first_row: usize, y: &mut [f32]) {
    if part.k == 0 {
        return;
    }
    for (&id, y) in ids.iter().zip(y.chunks_exact_mut(part.k)) {
        let row = (id as usize).checked_sub(first_row);
        if let Some(row) = row.filter(|&row| row < part.n_rows) {
            y.copy_from_slice(&part.row(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use gpu::weights::Format;

    use super::*;

    #[test]
    fn embed_takes_rows_of_its_part_only() {
        let mut dense = [0f32; 64];
        (dense[0], dense[32]) = (5.0, 6.0);
        let part = PackedRows {
            format: Format::F32,
            n_rows: 2,
            k: 1,
            packed: bytemuck::cast_slice(&dense),
            scales: &[],
        };
        let mut y = [0.0; 4];
        embed(&[3, 4, 5, u32::MAX], part, 3, &mut y);
        assert_eq!(y, [5.0, 6.0, 0.0, 0.0]);
    }
}
