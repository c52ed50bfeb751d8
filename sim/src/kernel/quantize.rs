//! Twin of `quantize`: raw checkpoint values packed into a weight format. The formula's home is `gpu::weights::quant`.

use gpu::recording::RawDType;
use gpu::weights::{Format, quant};

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
    let bytes: &[u8] = bytemuck::cast_slice(src);
    let values = quant::f32_from_raw(src_dtype, &bytes[..n_rows * k * src_dtype.size_bytes()]);
    let rows = quant::pack(format, &values, n_rows, k);
    packed[..rows.packed.len()].copy_from_slice(&rows.packed);
    scales[..rows.scales.len()].copy_from_slice(&rows.scales);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantize_packs_raw_values_and_pads_rows() {
        // Three bf16 values, 1, -127 and 2, in two words; the scale is f16(127/127) = 1.
        let src = [0xc2fe_3f80, 0x0000_4000];
        let (mut packed, mut scales) = ([7; 9], [7; 2]);
        quantize(&src, RawDType::Bf16, 1, 3, Format::Q8, &mut packed, &mut scales);
        assert_eq!(packed, [0x0002_8101, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(scales, [0x3c00, 7]);
    }
}
