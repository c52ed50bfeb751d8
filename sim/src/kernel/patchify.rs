//! Twin of `patchify`.

/// Pixels to patch vectors; see `gpu::recording::Op::Patchify`. Source: `reference/qwen3-vl.md` §3.5, 3.6.
///
/// Shapes: frames `[n_frames, height, width, 3]`; y `[P, 3·2·patch²]`, P = height/patch · width/patch, both even.
pub fn patchify(frames: &[u8], n_frames: usize, height: usize, width: usize, patch: usize, y: &mut [f32]) {
    let (rows, columns) = (height / patch, width / patch);
    let mut out = y.iter_mut();
    for p in 0..rows * columns {
        let (block, inside) = (p / 4, p % 4);
        let row = block / (columns / 2) * 2 + inside / 2;
        let column = block % (columns / 2) * 2 + inside % 2;
        for channel in 0..3 {
            for time in 0..2 {
                let frame = time.min(n_frames - 1);
                for py in 0..patch {
                    for px in 0..patch {
                        let pixel = (frame * height + row * patch + py) * width + column * patch + px;
                        if let Some(out) = out.next() {
                            *out = (f32::from(frames[pixel * 3 + channel]) - 127.5) / 127.5;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patchify_orders_patches_in_merge_blocks() {
        // Patches of one pixel, 2 rows of 4; the red value of a pixel is its raster index.
        let frames: Vec<u8> = (0..8).flat_map(|i| [i, 100, 255]).collect();
        let mut y = [0.0; 8 * 6];
        patchify(&frames, 1, 2, 4, 1, &mut y);
        let reds: Vec<f32> = y.chunks(6).map(|patch| patch[0] * 127.5 + 127.5).collect();
        for (red, expected) in reds.iter().zip([0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]) {
            assert!((red - expected).abs() < 1e-4);
        }
        assert_eq!(y[0], y[1]); // one frame fills both time slots
        assert_eq!(y[5], 1.0);
    }

    #[test]
    fn patchify_orders_a_vector_by_channel_time_row_column() {
        // One merge block of 2×2-pixel patches, two frames; a value tells where it came from.
        let frames: Vec<u8> = (0..2 * 16 * 3).collect();
        let mut y = [0.0; 4 * 24];
        patchify(&frames, 2, 4, 4, 2, &mut y);
        let at =
            |patch: usize, c: usize, t: usize, r: usize, x: usize| y[patch * 24 + ((c * 2 + t) * 2 + r) * 2 + x] * 127.5 + 127.5;
        // Patch 2 is the lower left one: rows 2 and 3, columns 0 and 1.
        assert!((at(2, 1, 1, 1, 0) - (48 + 12 * 3 + 1) as f32).abs() < 1e-4);
        assert!((at(3, 2, 0, 0, 1) - (11 * 3 + 2) as f32).abs() < 1e-4);
    }
}
