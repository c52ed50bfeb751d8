//! Weights: what a checkpoint's matrices become on an engine. Reading them is `safetensors` and `source`, packing `quant`.

pub mod checkpoint;
#[cfg(test)]
pub(crate) mod fixture;
pub mod loader;
mod names;
pub mod pack;
pub mod quant;
pub mod safetensors;
pub mod source;
pub mod split;
pub mod torch;

pub use self::checkpoint::Checkpoint;
pub use self::loader::Loader;
use crate::tensor::TensorId;

/// How the values of a [`Weight`] are stored. Rows are padded with zeros to `k_padded`, a multiple of [`GROUP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// f32 `[n, k_padded]`.
    F32,
    /// f16 `[n, k_padded]`, two in a u32, the lower index in the lower half.
    F16,
    /// i8 `[n, k_padded]`, four in a u32, the lowest index in the lowest byte; value = q · scale.
    Q8,
    /// Four bits `[n, k_padded]`, eight in a u32, the lowest index in the lowest bits; value = (q − 8) · scale.
    Q4,
}

/// Values that share a scale. Scales are f16 `[n, k_padded / GROUP]`, two in a u32 counted over the whole part.
pub const GROUP: usize = 32;

impl Format {
    /// The name of the WGSL part, and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::Q8 => "q8",
            Format::Q4 => "q4",
        }
    }

    /// Bits a value, without scales.
    pub fn bits(self) -> usize {
        match self {
            Format::F32 => 32,
            Format::F16 => 16,
            Format::Q8 => 8,
            Format::Q4 => 4,
        }
    }

    pub fn has_scales(self) -> bool {
        matches!(self, Format::Q8 | Format::Q4)
    }

    /// Bytes of `n_rows` packed rows of `k` values, without scales.
    pub fn packed_bytes(self, n_rows: usize, k: usize) -> u64 {
        // Counted in u64: a browser's usize has 32 bits.
        n_rows as u64 * k_padded(k) as u64 * self.bits() as u64 / 8
    }

    /// Bytes of the scales of `n_rows` rows of `k` values, whole words; 0 for dense formats.
    pub fn scale_bytes(self, n_rows: usize, k: usize) -> u64 {
        if self.has_scales() {
            (n_rows as u64 * (k_padded(k) / GROUP) as u64 * 2).next_multiple_of(4)
        } else {
            0
        }
    }
}

/// `k` rounded up to whole groups.
pub fn k_padded(k: usize) -> usize {
    k.next_multiple_of(GROUP)
}

/// A matrix `[n, k]` as it lies on an engine, in one or more runs of rows (a run fits one storage binding).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The checkpoint's name, for messages and traces.
    pub name: String,
    pub format: Format,
    /// Rows: outputs of a linear layer, ids of an embedding.
    pub n: usize,
    /// Columns: inputs of a linear layer, the width of an embedding.
    pub k: usize,
    pub parts: Vec<WeightPart>,
}

/// Rows `first_row .. first_row + n_rows` of a [`Weight`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightPart {
    pub first_row: usize,
    pub n_rows: usize,
    pub packed: TensorId,
    pub scales: Option<TensorId>,
}

impl Weight {
    /// Bytes on the engine, scales included.
    pub fn size_bytes(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| self.format.packed_bytes(part.n_rows, self.k) + self.format.scale_bytes(part.n_rows, self.k))
            .sum()
    }
}
