//! The weight formats' formulas, on the CPU. This is their only home: kernels and twins are written from this page.
//!
//! A row of `k` values is padded with zeros to [`k_padded`]`(k)` and cut into groups of [`GROUP`]. `f16(x)` is x rounded
//! to the nearest f16, ties to even, subnormals kept, computed by integer arithmetic (WGSL's own conversion may round
//! either way). `÷` never occurs: a WGSL division may be 2.5 ULP off. All other arithmetic is f32.
//!
//! **Scale.**
//! - q8: `s = f16(a · C)`, a the largest magnitude of the group, `C = 0x3c010204` (the f32 next to 1/127).
//! - q4: `s = f16(m · −0.125)`, m the *value* of largest magnitude (the first of equals): that value becomes q = 0, which
//!   stands for −8 (as in GGML's Q4_0), so one end of the range is exact. s may be negative; −0 is stored as +0.
//!
//! **Value.** `n(v, t)`, t = |s|, is the integer nearest to |v| / t, ties to even, found exactly: start from any estimate r
//! that is at most 1 off (`floor(min(|v| · (1/t), 130) + 0.5)` is, however the reciprocal rounds), then
//! - r += 1 if |v| > (r + ½)·t, or |v| = (r + ½)·t and r is odd;
//! - r −= 1 if |v| < (r − ½)·t, or |v| = (r − ½)·t and r is odd.
//!
//! The products are exact in f32: r + ½ has at most 9 bits and t at most 11, and t ≥ 2⁻²⁴ keeps them normal. So every
//! implementation gives **the same bits**, and tests compare for equality.
//! - q8: `q = sign(v) · min(n, 127)`; s = 0 gives q = 0. The value is `q · s`.
//! - q4: `q = clamp(sign(v)·sign(s)·n, −8, 7) + 8`; s = 0 gives q = 8. The value is `(q − 8) · s`.
//! - f16: `f16(v)`; f32: v.
//!
//! **Errors.** q8: at most `s/2`, plus 2⁻¹⁸ where s is subnormal in f16. q4: at most `|s|/2`, except at the far end of the
//! range (−m has no code), where it is at most `1.005·|s|`; plus 2⁻²¹ where s is subnormal. See [`error_bound`].

use half::{bf16, f16};

use super::{Format, GROUP, k_padded};
use crate::recording::RawDType;

/// The f32 next to 1/127.
pub const ONE_127TH: f32 = f32::from_bits(0x3c01_0204);

/// Packed rows: words as [`Format`] says, scales two in a word over all rows, the last half word zero if they are odd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedRows {
    pub packed: Vec<u32>,
    pub scales: Vec<u32>,
}

/// Raw little-endian values as f32. Bytes that are no whole value are left out.
pub fn f32_from_raw(dtype: RawDType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        RawDType::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        RawDType::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        RawDType::Bf16 => bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
    }
}

/// The largest magnitude of raw values, 0 for none.
///
/// Errors: the index of the first value that is NaN or infinite.
pub fn largest_magnitude(dtype: RawDType, bytes: &[u8]) -> Result<f32, usize> {
    // Magnitudes order as their bits do, and every NaN lies above infinity, so one maximum finds both.
    let half_words = || bytes.as_chunks::<2>().0.iter().map(|&b| u16::from_le_bytes(b) & 0x7fff);
    let words = || bytes.as_chunks::<4>().0.iter().map(|&b| u32::from_le_bytes(b) & 0x7fff_ffff);
    let first = |position: Option<usize>| position.unwrap_or_default();
    match dtype {
        RawDType::F32 => match words().max().unwrap_or(0) {
            0x7f80_0000.. => Err(first(words().position(|w| w >= 0x7f80_0000))),
            top => Ok(f32::from_bits(top)),
        },
        RawDType::F16 => match half_words().max().unwrap_or(0) {
            0x7c00.. => Err(first(half_words().position(|w| w >= 0x7c00))),
            top => Ok(f16::from_bits(top).to_f32()),
        },
        RawDType::Bf16 => match half_words().max().unwrap_or(0) {
            0x7f80.. => Err(first(half_words().position(|w| w >= 0x7f80))),
            top => Ok(bf16::from_bits(top).to_f32()),
        },
    }
}

/// Largest magnitude that a format can hold: above it a value or its scale is no finite f16.
pub fn max_magnitude(format: Format) -> f32 {
    let f16_max = f16::MAX.to_f32();
    match format {
        Format::F32 => f32::MAX,
        Format::F16 => f16_max,
        Format::Q8 => f16_max * 127.0,
        Format::Q4 => f16_max * 8.0,
    }
}

/// The scale of a group of q8 or q4.
pub fn scale_of(format: Format, group: &[f32]) -> f16 {
    let mut top = 0.0f32;
    for &value in group {
        if value.abs() > top.abs() {
            top = value;
        }
    }
    let scale = match format {
        Format::Q4 => f16::from_f32(top * -0.125),
        _ => f16::from_f32(top.abs() * ONE_127TH),
    };
    if scale == f16::ZERO { f16::ZERO } else { scale }
}

/// The integer nearest to `|v| / t`, ties to even, exact; `t > 0`. Above 130 the result is some number above 129.
fn nearest_multiple(v: f32, t: f32) -> f32 {
    let v = v.abs();
    let r = ((v * (1.0 / t)).min(130.0) + 0.5).floor();
    let odd = r % 2.0 == 1.0;
    let above = (r + 0.5) * t;
    let below = (r - 0.5) * t;
    if v > above || (v == above && odd) {
        r + 1.0
    } else if v < below || (v == below && odd) {
        r - 1.0
    } else {
        r
    }
}

/// The code of one value: q8 as the byte's two's complement, q4 as 0 to 15.
pub fn code_of(format: Format, value: f32, scale: f16) -> u32 {
    let scale = scale.to_f32();
    let signed = if scale == 0.0 {
        0
    } else {
        let n = nearest_multiple(value, scale.abs()) as i32;
        if (value < 0.0) != (scale < 0.0) { -n } else { n }
    };
    match format {
        Format::Q4 => (signed.clamp(-8, 7) + 8) as u32,
        _ => signed.clamp(-127, 127) as u8 as u32,
    }
}

/// The value of a code.
pub fn value_of(format: Format, code: u32, scale: f16) -> f32 {
    match format {
        Format::Q4 => ((code & 15) as f32 - 8.0) * scale.to_f32(),
        _ => f32::from(code as u8 as i8) * scale.to_f32(),
    }
}

/// Packs `values [n_rows, k]`.
///
/// # Panics
/// If `values` has another length.
pub fn pack(format: Format, values: &[f32], n_rows: usize, k: usize) -> PackedRows {
    pack_with(format, values, n_rows, k, &scale_of)
}

/// As [`pack`], with scales chosen by the caller (see `pack.rs`).
pub(super) fn pack_with(
    format: Format,
    values: &[f32],
    n_rows: usize,
    k: usize,
    choose_scale: &dyn Fn(Format, &[f32]) -> f16,
) -> PackedRows {
    assert_eq!(values.len(), n_rows * k, "values are [n_rows, k]");
    let mut packed = Vec::with_capacity(format.packed_bytes(n_rows, k) as usize / 4);
    let mut scales = Vec::new();
    let mut padded = vec![0.0; k_padded(k)];
    for row in 0..n_rows {
        padded[..k].copy_from_slice(&values[row * k..][..k]);
        for group in padded.chunks_exact(GROUP) {
            match format {
                Format::F32 => packed.extend(group.iter().map(|v| v.to_bits())),
                Format::F16 => push_words(&mut packed, group.iter().map(|&v| f16::from_f32(v).to_bits().into()), 16),
                Format::Q8 | Format::Q4 => {
                    let scale = choose_scale(format, group);
                    scales.push(scale);
                    push_words(&mut packed, group.iter().map(|&v| code_of(format, v, scale)), format.bits());
                }
            }
        }
    }
    let mut scale_words = Vec::new();
    push_words(&mut scale_words, scales.iter().map(|s| s.to_bits().into()), 16);
    PackedRows {
        packed,
        scales: scale_words,
    }
}

/// Appends codes of `bits` bits, the first in the lowest bits; a last word that is not full is filled with zeros.
fn push_words(words: &mut Vec<u32>, codes: impl Iterator<Item = u32>, bits: usize) {
    let mut shift = 0;
    for code in codes {
        if shift == 0 {
            words.push(0);
        }
        if let Some(word) = words.last_mut() {
            *word |= code << shift;
        }
        shift = (shift + bits) % 32;
    }
}

/// Values `[n_rows, k]` of little-endian packed bytes and f16 scales (empty for dense formats), padding left out.
///
/// # Panics
/// If the bytes are fewer than [`Format::packed_bytes`] and the scales say.
pub fn dequantize(format: Format, packed: &[u8], scales: &[u8], n_rows: usize, k: usize) -> Vec<f32> {
    let (words, _) = packed.as_chunks::<4>();
    let words_a_row = k_padded(k) * format.bits() / 32;
    let groups_a_row = k_padded(k) / GROUP;
    let values_a_word = 32 / format.bits();
    let mask = u32::MAX >> (32 - format.bits());
    let mut values = Vec::with_capacity(n_rows * k);
    for row in 0..n_rows {
        for col in 0..k {
            let word = u32::from_le_bytes(words[row * words_a_row + col / values_a_word]);
            let code = (word >> (col % values_a_word * format.bits())) & mask;
            values.push(match format {
                Format::F32 => f32::from_bits(code),
                Format::F16 => f16::from_bits(code as u16).to_f32(),
                Format::Q8 | Format::Q4 => {
                    let at = (row * groups_a_row + col / GROUP) * 2;
                    let scale = f16::from_le_bytes([scales[at], scales[at + 1]]);
                    value_of(format, code, scale)
                }
            });
        }
    }
    values
}

/// Largest difference between a value of `group` and what its code stands for.
pub fn error_bound(format: Format, group: &[f32]) -> f32 {
    let largest = group.iter().fold(0.0f32, |top, v| top.max(v.abs()));
    match format {
        Format::F32 => 0.0,
        Format::F16 => (largest / 2048.0).max(f32::powi(2.0, -25)),
        Format::Q8 | Format::Q4 => {
            let scale = scale_of(format, group).to_f32().abs();
            let subnormal = scale < f16::MIN_POSITIVE.to_f32();
            match (format, subnormal) {
                (Format::Q8, false) => scale * 0.5,
                (Format::Q8, true) => scale * 0.5 + f32::powi(2.0, -18),
                (_, false) => scale * 1.005,
                (_, true) => scale * 1.005 + f32::powi(2.0, -21),
            }
        }
    }
}

#[cfg(test)]
#[path = "quant_tests.rs"]
mod tests;
