//! Twin of `rope`.

/// Sizes of a rotation: rows, heads, and the frequencies of one position in the table.
#[derive(Clone, Copy)]
pub struct RopeShape {
    pub n_rows: usize,
    pub n_heads: usize,
    pub head: usize,
    pub n_freqs: usize,
}

/// Half-split rotation of `x [T, H, E]`. For j < E/2: `axis = map[j] >> 16, f = map[j] & 0xffff,
/// (c, s) = table[pos[axis · T + t], f]; y[j] = x[j]·c − x[j+E/2]·s; y[j+E/2] = x[j+E/2]·c + x[j]·s`.
///
/// Shapes: table `[P, F, 2]`; map `[E/2]`; pos `[A, T]`. A position or frequency that the table does not have rotates by
/// nothing: (c, s) = (1, 0).
pub fn rope(x: &[f32], table: &[f32], map: &[u32], pos: &[u32], shape: RopeShape, y: &mut [f32]) {
    let half = shape.head / 2;
    for t in 0..shape.n_rows {
        for j in 0..half {
            let (axis, freq) = ((map[j] >> 16) as usize, (map[j] & 0xffff) as usize);
            let (c, s) = angle(table, pos, axis * shape.n_rows + t, freq, shape.n_freqs);
            for h in 0..shape.n_heads {
                let base = (t * shape.n_heads + h) * shape.head;
                let (a, b) = (f64::from(x[base + j]), f64::from(x[base + j + half]));
                y[base + j] = (a * c - b * s) as f32;
                y[base + j + half] = (b * c + a * s) as f32;
            }
        }
    }
}

fn angle(table: &[f32], pos: &[u32], i: usize, freq: usize, n_freqs: usize) -> (f64, f64) {
    let found = pos.get(i).filter(|_| freq < n_freqs).and_then(|&pos| {
        let at = (pos as usize).checked_mul(n_freqs)?.checked_add(freq)?;
        table.get(at.checked_mul(2)?..)?.first_chunk::<2>()
    });
    found.map_or((1.0, 0.0), |&[c, s]| (f64::from(c), f64::from(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rope_turns_halves_by_the_angle_of_their_axis() {
        // Two positions of two frequencies; frequency 1 of position 1 is a quarter turn.
        let table = [1.0, 0.0, 1.0, 0.0, 0.6, 0.8, 0.0, 1.0];
        let map = [0, (1 << 16) | 1];
        let pos = [0, 1]; // axis 0 at position 0, axis 1 at position 1
        let shape = RopeShape {
            n_rows: 1,
            n_heads: 1,
            head: 4,
            n_freqs: 2,
        };
        let mut y = [0.0; 4];
        rope(&[1.0, 2.0, 3.0, 4.0], &table, &map, &pos, shape, &mut y);
        assert_eq!(y, [1.0, -4.0, 3.0, 2.0]);
    }
}
