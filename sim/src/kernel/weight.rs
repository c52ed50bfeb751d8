//! A part of a weight as a twin sees it. The formats' home is `gpu::weights::quant`.

use gpu::weights::{Format, GROUP, k_padded, quant};

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

impl<'a> PackedRows<'a> {
    /// Row `i`, `[k]`.
    pub fn row(&self, i: usize) -> Vec<f32> {
        let packed = bytemuck::cast_slice(self.packed_row(i));
        quant::dequantize(self.format, packed, self.scale_row(i), 1, self.k)
    }

    /// The packed words of row `i`, padding included.
    pub fn packed_row(&self, i: usize) -> &'a [u32] {
        let n_words = k_padded(self.k) * self.format.bits() / 32;
        &self.packed[i * n_words..(i + 1) * n_words]
    }

    /// The bytes of the scales of row `i`: an f16 a group.
    pub fn scale_row(&self, i: usize) -> &'a [u8] {
        if !self.format.has_scales() {
            return &[];
        }
        let n_bytes = k_padded(self.k) / GROUP * 2;
        &bytemuck::cast_slice(self.scales)[i * n_bytes..(i + 1) * n_bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_rows_unpack_as_the_formats_say() {
        let row = |format, packed: &[u32], scales: &[u32], i| {
            let rows = PackedRows {
                format,
                n_rows: 2,
                k: 3,
                packed,
                scales,
            };
            rows.row(i)
        };
        let scales = [0x4000_3800]; // f16 0.5 and 2
        let mut q8 = [0u32; 16];
        q8[8] = u32::from_le_bytes([1, 0xff, 0x80, 7]);
        assert_eq!(row(Format::Q8, &q8, &scales, 1), [2.0, -2.0, -256.0]);

        let mut q4 = [0u32; 8];
        q4[0] = 0xf80;
        assert_eq!(row(Format::Q4, &q4, &scales, 0), [-4.0, 0.0, 3.5]);

        let mut dense = [0u32; 32];
        dense[16] = 0xc200_3e00; // f16 1.5 and -3
        assert_eq!(row(Format::F16, &dense, &[], 1), [1.5, -3.0, 0.0]);
    }
}
