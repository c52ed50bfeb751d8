//! Which tiles differ between two frames. The actor that uses it is `vision::changes`.

use pipeline::packet::ChangedTiles;

/// What counts as a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Side of a tile in pixels.
    pub tile_px: u32,
    /// A pixel differs if a channel differs by more than this many levels of 255.
    pub levels: u8,
}

/// The tiles that differ, and how many pixels do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub tiles: ChangedTiles,
    pub n_changed_px: u64,
}

/// Compares two pictures of one size.
///
/// Shapes: `before`, `after` `[height, width, 3]` u8. `None` if a length does not fit the size, or `tile_px` is 0.
pub fn difference(before: &[u8], after: &[u8], width: u32, height: u32, threshold: Threshold) -> Option<Difference> {
    let (tile, row_len) = (threshold.tile_px as usize, width as usize * 3);
    let expected = row_len * height as usize;
    if tile == 0 || before.len() != expected || after.len() != expected {
        return None;
    }
    let (columns, rows) = (width.div_ceil(threshold.tile_px), height.div_ceil(threshold.tile_px));
    let mut changed = vec![false; columns as usize * rows as usize];
    let mut n_changed_px = 0;
    if expected > 0 {
        for (y, (a, b)) in before.chunks_exact(row_len).zip(after.chunks_exact(row_len)).enumerate() {
            if a == b {
                continue; // most rows of most frames
            }
            let marks = &mut changed[y / tile * columns as usize..][..columns as usize];
            for (mark, (a, b)) in marks.iter_mut().zip(a.chunks(tile * 3).zip(b.chunks(tile * 3))) {
                let n = count_changed(a, b, threshold.levels);
                *mark |= n > 0;
                n_changed_px += n;
            }
        }
    }
    let tiles = ChangedTiles {
        tile: threshold.tile_px,
        columns,
        rows,
        changed,
    };
    Some(Difference { tiles, n_changed_px })
}

fn count_changed(a: &[u8], b: &[u8], levels: u8) -> u64 {
    let pixels = a.chunks_exact(3).zip(b.chunks_exact(3));
    pixels
        .filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > levels))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: Threshold = Threshold { tile_px: 4, levels: 10 };

    #[test]
    fn only_the_tile_of_a_changed_pixel_is_marked() {
        let (width, height) = (10u32, 7u32);
        let before = vec![100u8; 210];
        for (x, y) in [(0, 0), (3, 3), (4, 0), (9, 6), (7, 5)] {
            let mut after = before.clone();
            after[(y * 10 + x) * 3 + 1] = 111;
            let found = difference(&before, &after, width, height, THRESHOLD).unwrap();
            let mut expected = vec![false; 6];
            expected[y / 4 * 3 + x / 4] = true;
            assert_eq!((found.tiles.columns, found.tiles.rows), (3, 2));
            assert_eq!(found.tiles.changed, expected, "{x},{y}");
            assert_eq!(found.n_changed_px, 1);
        }
    }

    #[test]
    fn differences_within_the_threshold_are_none() {
        let found = difference(&[100; 210], &[110; 210], 10, 7, THRESHOLD).unwrap();
        assert_eq!((found.n_changed_px, found.tiles.changed.iter().any(|&c| c)), (0, false));
        assert_eq!(
            difference(&[100; 210], &[111; 210], 10, 7, THRESHOLD).unwrap().n_changed_px,
            70
        );
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(difference(&[0; 3], &[0; 6], 1, 1, THRESHOLD).is_none());
        assert!(difference(&[0; 3], &[0; 3], 1, 1, Threshold { tile_px: 0, levels: 0 }).is_none());
        assert!(difference(&[], &[], 0, 5, THRESHOLD).is_some());
    }
}
