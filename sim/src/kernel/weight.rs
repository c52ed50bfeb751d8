//! Rows of a packed matrix as f32: the formats of `gpu::weights`.

use gpu::weights::{Format, GROUP, k_padded};
use half::f16;

/// One part of a weight as it lies in memory.
#[derive(Clone, Copy)]
pub struct PackedRows<'a> {
    pub format: Format,
    pub n_rows: usize,
    /// Columns, without the padding.
    pub k: usize,
    pub packed: &'a [u32],
    /// Empty for dense formats.
    pub scales: &'a [u32],
}

impl PackedRows<'_> {
    /// Writes row `i` to `out`; as many values as `out` holds, at most the padded row.
    pub fn row(&self, i: usize, out: &mut [f32]) {
        let stride = k_padded(self.k);
        let scales: &[f16] = bytemuck::cast_slice(self.scales);
        let scales = scales.get(i * stride / GROUP..).unwrap_or(&[]);
        match self.format {
            Format::F32 => {
                let values: &[f32] = bytemuck::cast_slice(self.packed);
                out.copy_from_slice(&values[i * stride..][..out.len()]);
            }
            Format::F16 => {
                let values: &[f16] = bytemuck::cast_slice(self.packed);
                for (out, value) in out.iter_mut().zip(&values[i * stride..]) {
                    *out = value.to_f32();
                }
            }
            Format::Q8 => {
                let values: &[i8] = bytemuck::cast_slice(self.packed);
                let values = &values[i * stride..];
                for ((out, values), scale) in out.chunks_mut(GROUP).zip(values.chunks(GROUP)).zip(scales) {
                    let scale = scale.to_f32();
                    for (out, &q) in out.iter_mut().zip(values) {
                        *out = f32::from(q) * scale;
                    }
                }
            }
            Format::Q4 => {
                let pairs: &[u8] = bytemuck::cast_slice(self.packed);
                let pairs = &pairs[i * stride / 2..];
                for ((out, pairs), scale) in out.chunks_mut(GROUP).zip(pairs.chunks(GROUP / 2)).zip(scales) {
                    let scale = scale.to_f32();
                    for (out, &pair) in out.chunks_mut(2).zip(pairs) {
                        for (out, q) in out.iter_mut().zip([pair & 15, pair >> 4]) {
                            *out = (f32::from(q) - 8.0) * scale;
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
    fn weight_rows_unpack_as_the_formats_say() {
        let mut row = [0.0; 3];
        let scales = [u32::from(f16::from_f32(0.5).to_bits()) | (u32::from(f16::from_f32(2.0).to_bits()) << 16)];

        let mut q8 = [0u32; 16];
        q8[8] = u32::from_le_bytes([1, 0xff, 0x80, 7]);
        let rows = PackedRows {
            format: Format::Q8,
            n_rows: 2,
            k: 3,
            packed: &q8,
            scales: &scales,
        };
        rows.row(1, &mut row);
        assert_eq!(row, [2.0, -2.0, -256.0]);

        let mut q4 = [0u32; 8];
        q4[0] = 0xf80;
        let rows = PackedRows {
            format: Format::Q4,
            n_rows: 2,
            k: 3,
            packed: &q4,
            scales: &scales,
        };
        rows.row(0, &mut row);
        assert_eq!(row, [-4.0, 0.0, 3.5]);

        let mut dense = [0u32; 32];
        dense[16] = u32::from(f16::from_f32(1.5).to_bits()) | (u32::from(f16::from_f32(-3.0).to_bits()) << 16);
        let rows = PackedRows {
            format: Format::F16,
            n_rows: 2,
            k: 3,
            packed: &dense,
            scales: &[],
        };
        rows.row(1, &mut row);
        assert_eq!(row, [1.5, -3.0, 0.0]);
    }
}
