//! The size that Qwen3-VL sees a picture in, and the resampling that gets it there, bit for bit as the reference does.
//!
//! Source: `transformers` 5.23 `smart_resize` (Qwen2-VL's for images, Qwen3-VL's for videos); torchvision's
//! antialiased bicubic kernel for u8 tensors. Not for cutting into patches: the engine does that.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Sides are multiples of this: patch size 16 times spatial merge 2.
pub const FACTOR: u32 = 32;
/// The longer side may be at most this many times the shorter one.
pub const MAX_ASPECT: u32 = 200;

/// Bounds of the pixel count of a resized picture, or of all frames of a resized video together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelLimits {
    pub min_pixels: u64,
    pub max_pixels: u64,
}

impl PixelLimits {
    /// The published limits of images.
    pub const IMAGE: Self = Self {
        min_pixels: 65_536,
        max_pixels: 16_777_216,
    };
    /// The published limits of videos.
    pub const VIDEO: Self = Self {
        min_pixels: 4_096,
        max_pixels: 25_165_824,
    };
}

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: u32,
    pub width: u32,
}

/// The size that an image is resized to.
///
/// Errors: [`Error::EmptyPicture`], [`Error::AspectRatio`].
pub fn image_size(from: Size, limits: PixelLimits) -> Result<Size> {
    check_shape(from)?;
    smart_resize(from, 1, 1, limits)
}

/// The size that each of `n_frames` frames of a video is resized to; none count as one.
///
/// Errors: [`Error::EmptyPicture`], [`Error::AspectRatio`].
pub fn video_size(from: Size, n_frames: u32, limits: PixelLimits) -> Result<Size> {
    // Unlike an image, a video that is narrower than a patch is enlarged first.
    let mut enlarged = from;
    let short = from.height.min(from.width);
    if (1..FACTOR).contains(&short) {
        let scale = f64::from(FACTOR) / f64::from(short);
        let side = |side: u32| (f64::from(side) * scale) as u32;
        enlarged = Size {
            height: side(from.height),
            width: side(from.width),
        };
    }
    check_shape(from)?;
    // Frames count in pairs for the comparison with the limits, but as they are for the scale.
    let n_frames = n_frames.max(1);
    let n_paired = 2 * round_half_even(f64::from(n_frames) / 2.0) as u64;
    smart_resize(enlarged, u64::from(n_frames), n_paired, limits)
}

fn check_shape(from: Size) -> Result<()> {
    let (short, long) = (from.height.min(from.width), from.height.max(from.width));
    if short == 0 {
        return Err(Error::EmptyPicture {
            width: from.width,
            height: from.height,
        });
    }
    if u64::from(long) > u64::from(MAX_ASPECT) * u64::from(short) {
        return Err(Error::AspectRatio {
            width: from.width,
            height: from.height,
            max: MAX_ASPECT,
        });
    }
    Ok(())
}

/// The rule for a picture that passed [`check_shape`].
fn smart_resize(from: Size, n_frames: u64, n_paired: u64, limits: PixelLimits) -> Result<Size> {
    let (short, long) = (from.height.min(from.width), from.height.max(from.width));
    if short == 0 || n_frames == 0 {
        return Err(Error::EmptyPicture {
            width: from.width,
            height: from.height,
        });
    }
    if u64::from(long) > u64::from(MAX_ASPECT) * u64::from(short) {
        return Err(Error::AspectRatio {
            width: from.width,
            height: from.height,
            max: MAX_ASPECT,
        });
    }
    let factor = f64::from(FACTOR);
    let rounded = |side: u32| round_half_even(f64::from(side) / factor) as u64 * u64::from(FACTOR);
    let (height, width) = (rounded(from.height), rounded(from.width));
    let count = n_paired * height * width;
    let area = n_frames as f64 * f64::from(from.height) * f64::from(from.width);
    let side = |side: u32| f64::from(side);
    let (height, width) = if count > limits.max_pixels {
        let beta = (area / limits.max_pixels as f64).sqrt();
        let shrink = |s: u32| ((side(s) / beta / factor).floor() * factor).max(factor) as u64;
        (shrink(from.height), shrink(from.width))
    } else if count < limits.min_pixels {
        let beta = (limits.min_pixels as f64 / area).sqrt();
        let grow = |s: u32| ((side(s) * beta / factor).ceil() * factor) as u64;
        (grow(from.height), grow(from.width))
    } else {
        (height, width)
    };
    let factor = u64::from(FACTOR);
    Ok(Size {
        height: height.max(factor) as u32,
        width: width.max(factor) as u32,
    })
}

/// Python's `round`.
fn round_half_even(x: f64) -> f64 {
    x.round_ties_even()
}

/// Resamples with an antialiased bicubic filter, exactly as torchvision does on u8.
///
/// Shapes: `rgb [from.height, from.width, 3]` u8 to `[to.height, to.width, 3]` u8.
/// Errors: [`Error::PixelCount`] if `rgb` has another length; [`Error::EmptyPicture`] if a side is 0.
pub fn resize_rgb(rgb: &[u8], from: Size, to: Size) -> Result<Vec<u8>> {
    for size in [from, to] {
        if size.height == 0 || size.width == 0 {
            return Err(Error::EmptyPicture {
                width: size.width,
                height: size.height,
            });
        }
    }
    let expected = from.height as usize * from.width as usize * 3;
    if rgb.len() != expected {
        return Err(Error::PixelCount {
            found: rgb.len(),
            expected,
        });
    }
    // The horizontal pass is rounded to u8 before the vertical one: part of the definition, not a shortcut.
    let wide = (from.width != to.width)
        .then(|| horizontal(rgb, from.width as usize, &Filter::new(from.width as usize, to.width as usize)));
    let wide = wide.as_deref().unwrap_or(rgb);
    if from.height == to.height {
        return Ok(wide.to_vec());
    }
    Ok(vertical(
        wide,
        to.width as usize * 3,
        &Filter::new(from.height as usize, to.height as usize),
    ))
}

/// The taps of every output sample along one axis.
struct Filter {
    /// First input sample and the number of taps, per output sample.
    spans: Vec<(usize, usize)>,
    /// `[outputs, stride]` fixed-point weights, padded with zeros.
    weights: Vec<i16>,
    stride: usize,
    /// Fraction bits of `weights`.
    precision: u32,
}

impl Filter {
    fn new(n_in: usize, n_out: usize) -> Self {
        let scale = n_in as f64 / n_out as f64;
        let width = scale.max(1.0);
        let support = 2.0 * width;
        let mut spans = Vec::with_capacity(n_out);
        let mut rows = Vec::with_capacity(n_out);
        let (mut largest, mut stride) = (0.0f64, 0);
        for i in 0..n_out {
            let centre = scale * (i as f64 + 0.5);
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(n_in);
            let mut row: Vec<f64> = (first..end)
                .map(|j| cubic((j as f64 - centre + 0.5) * (1.0 / width)))
                .collect();
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|w| *w /= total);
            largest = row.iter().fold(largest, |a, &b| a.max(b));
            stride = stride.max(row.len());
            spans.push((first, row.len()));
            rows.push(row);
        }
        let mut precision = 0;
        while precision < 22 && 0.5 + largest * f64::from(1u32 << (precision + 1)) < 32_768.0 {
            precision += 1;
        }
        let unit = f64::from(1u32 << precision);
        let mut weights = vec![0i16; n_out * stride];
        for (row, to) in rows.iter().zip(weights.chunks_exact_mut(stride)) {
            for (w, to) in row.iter().zip(to) {
                *to = (w * unit + 0.5f64.copysign(*w)) as i16;
            }
        }
        Self {
            spans,
            weights,
            stride,
            precision,
        }
    }

    fn row(&self, i: usize) -> (usize, &[i16]) {
        let (first, n) = self.spans[i];
        (first, &self.weights[i * self.stride..i * self.stride + n])
    }
}

/// Keys' cubic with a = −0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn to_u8(sum: i32, precision: u32) -> u8 {
    (sum >> precision).clamp(0, 255) as u8
}

fn horizontal(rgb: &[u8], n_in: usize, filter: &Filter) -> Vec<u8> {
    let n_out = filter.spans.len();
    let half = 1i32 << (filter.precision - 1);
    let mut out = vec![0u8; rgb.len() / n_in * n_out];
    for (from, to) in rgb.chunks_exact(n_in * 3).zip(out.chunks_exact_mut(n_out * 3)) {
        for (i, pixel) in to.chunks_exact_mut(3).enumerate() {
            let (first, weights) = filter.row(i);
            let mut sum = [half; 3];
            for (tap, &w) in from[first * 3..].chunks_exact(3).zip(weights) {
                let w = i32::from(w);
                sum[0] += w * i32::from(tap[0]);
                sum[1] += w * i32::from(tap[1]);
                sum[2] += w * i32::from(tap[2]);
            }
            for (p, s) in pixel.iter_mut().zip(sum) {
                *p = to_u8(s, filter.precision);
            }
        }
    }
    out
}

fn vertical(rgb: &[u8], row_len: usize, filter: &Filter) -> Vec<u8> {
    let half = 1i32 << (filter.precision - 1);
    let mut out = vec![0u8; filter.spans.len() * row_len];
    let mut sums = vec![0i32; row_len];
    for (i, to) in out.chunks_exact_mut(row_len).enumerate() {
        let (first, weights) = filter.row(i);
        sums.fill(half);
        for (from, &w) in rgb[first * row_len..].chunks_exact(row_len).zip(weights) {
            let w = i32::from(w);
            for (sum, &v) in sums.iter_mut().zip(from) {
                *sum += w * i32::from(v);
            }
        }
        for (to, &sum) in to.iter_mut().zip(&sums) {
            *to = to_u8(sum, filter.precision);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_more_than_200_times_the_other_is_refused() {
        let size = Size {
            height: 20_000,
            width: 1,
        };
        let found = image_size(size, PixelLimits::IMAGE);
        assert!(
            matches!(
                found,
                Err(Error::AspectRatio {
                    width: 1,
                    height: 20_000,
                    max: 200
                })
            ),
            "{found:?}"
        );
        assert!(image_size(Size { height: 1, width: 200 }, PixelLimits::IMAGE).is_ok());
        assert!(matches!(
            image_size(Size { height: 0, width: 5 }, PixelLimits::IMAGE),
            Err(Error::EmptyPicture { .. })
        ));
    }

    #[test]
    fn equal_size_changes_nothing_and_flat_stays_flat() {
        let from = Size { height: 5, width: 7 };
        let noisy: Vec<u8> = (0..105u32).map(|i| (i * 37 % 256) as u8).collect();
        assert_eq!(resize_rgb(&noisy, from, from).unwrap(), noisy);
        for value in [0u8, 1, 127, 254, 255] {
            let flat = resize_rgb(&[value; 105], from, Size { height: 32, width: 64 }).unwrap();
            assert!(flat.iter().all(|&v| v == value), "{value}");
            let small = resize_rgb(&[value; 105], from, Size { height: 2, width: 3 }).unwrap();
            assert!(small.iter().all(|&v| v == value), "{value}");
        }
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let from = Size { height: 2, width: 2 };
        assert!(matches!(
            resize_rgb(&[0; 11], from, from),
            Err(Error::PixelCount { found: 11, expected: 12 })
        ));
        let none = Size { height: 0, width: 2 };
        assert!(matches!(resize_rgb(&[], none, from), Err(Error::EmptyPicture { .. })));
    }
}
