//! Twin of `quantize`: raw checkpoint values packed into a weight format.

use gpu::recording::RawDType;
use gpu::weights::{Format, GROUP, k_padded};
use half::{bf16, f16};

/// Packs `src [n_rows, k]` (raw little-endian bytes in words) into `packed`, and `scales` for formats that have them.
pub fn quantize(
    src: &[u32],
    src_dtype: RawDType,
    n_rows: usize,
    k: usize,
    format: Format,
    packed: &mut [u32],
    scales: &mut [u32],
) {
    let stride = k_padded(k);
    let scales: &mut [f16] = bytemuck::cast_slice_mut(scales);
    let mut values = vec![0f32; stride];
    for i in 0..n_rows {
        for (j, value) in values[..k].iter_mut().enumerate() {
            *value = raw_value(src, src_dtype, i * k + j);
        }
        match format {
            Format::F32 => {
                let packed: &mut [f32] = bytemuck::cast_slice_mut(packed);
                packed[i * stride..(i + 1) * stride].copy_from_slice(&values);
            }
            Format::F16 => {
                let packed: &mut [f16] = bytemuck::cast_slice_mut(packed);
                for (packed, &value) in packed[i * stride..(i + 1) * stride].iter_mut().zip(&values) {
                    *packed = f16::from_f32(value);
                }
            }
            Format::Q8 | Format::Q4 => {
                let packed: &mut [u8] = bytemuck::cast_slice_mut(packed);
                for (g, values) in values.chunks_exact(GROUP).enumerate() {
                    let group = i * stride / GROUP + g;
                    let group_bytes = GROUP * format.bits() / 8;
                    let packed = &mut packed[group * group_bytes..][..group_bytes];
                    scales[group] = if format == Format::Q8 {
                        pack_q8(values, packed)
                    } else {
                        pack_q4(values, packed)
                    };
                }
            }
        }
    }
}

/// Value `i` of raw bytes.
fn raw_value(src: &[u32], dtype: RawDType, i: usize) -> f32 {
    match dtype {
        RawDType::F32 => f32::from_bits(src[i]),
        RawDType::F16 => bytemuck::cast_slice::<u32, f16>(src)[i].to_f32(),
        RawDType::Bf16 => bytemuck::cast_slice::<u32, bf16>(src)[i].to_f32(),
    }
}

/// value = q · scale; the largest magnitude becomes ±127.
fn pack_q8(values: &[f32], packed: &mut [u8]) -> f16 {
    let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
    let scale = f16::from_f32(largest / 127.0);
    for (packed, value) in packed.iter_mut().zip(values) {
        *packed = (quotient(*value, scale).clamp(-127.0, 127.0) as i8) as u8;
    }
    scale
}

/// value = (q − 8) · scale; the value of the largest magnitude becomes −8.
fn pack_q4(values: &[f32], packed: &mut [u8]) -> f16 {
    let largest = values.iter().fold(0f32, |m, &v| if v.abs() > m.abs() { v } else { m });
    let scale = f16::from_f32(largest / -8.0);
    for (packed, pair) in packed.iter_mut().zip(values.chunks_exact(2)) {
        let q = |value| (quotient(value, scale).clamp(-8.0, 7.0) + 8.0) as u8;
        *packed = q(pair[0]) | (q(pair[1]) << 4);
    }
    scale
}

fn quotient(value: f32, scale: f16) -> f32 {
    if scale == f16::ZERO || scale == f16::NEG_ZERO {
        0.0
    } else {
        (value / scale.to_f32()).round()
    }
}
