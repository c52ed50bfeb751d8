//! Weights as the matrix product reads them, kept between calls within a budget.

use std::collections::HashMap;

use gpu::tensor::TensorId;
use gpu::weights::WeightPart;
use gpu::{Error, Result};

use super::gemm::{self, Matrix, Packed};
use super::unpack::unpack;
use crate::kernel::weight::PackedRows;
use crate::memory::Tensors;

/// Of all weights that are kept. Larger models are unpacked again for each product, [`PANEL_VALUES`] at a time.
const BUDGET_BYTES: u64 = 768 << 20;

/// Values of a weight that are unpacked at a time when it is not kept: 16 MiB of f32.
pub const PANEL_VALUES: usize = 4 << 20;

/// Packed right operands by their part's tensor.
#[derive(Default)]
pub struct WeightCache {
    kept: HashMap<TensorId, Kept>,
    size_bytes: u64,
}

struct Kept {
    /// How often the tensors of the part were changed when this was made.
    versions: [u64; 2],
    size_bytes: u64,
    packed: Packed,
}

impl WeightCache {
    /// Makes sure that a part is kept, if the budget allows.
    pub fn keep(&mut self, tensors: &Tensors, part: &WeightPart, rows: PackedRows<'_>) -> Result<()> {
        let versions = versions(tensors, part)?;
        if self.kept.get(&part.packed).is_some_and(|kept| kept.versions == versions) {
            return Ok(());
        }
        self.forget(part.packed);
        let size_bytes = (rows.n_rows * rows.k * 4) as u64;
        if size_bytes == 0 || self.size_bytes + size_bytes > BUDGET_BYTES {
            return Ok(());
        }
        let values = unpack(rows, 0..rows.n_rows);
        let packed = gemm::pack(Matrix::dense(&values, [rows.n_rows, rows.k]).transposed())?;
        let kept = Kept {
            versions,
            size_bytes,
            packed,
        };
        self.size_bytes += size_bytes;
        self.kept.insert(part.packed, kept);
        Ok(())
    }

    /// A part that is kept; call [`WeightCache::keep`] before.
    pub fn get(&self, part: &WeightPart) -> Option<&Packed> {
        self.kept.get(&part.packed).map(|kept| &kept.packed)
    }

    pub fn forget(&mut self, tensor: TensorId) {
        if let Some(kept) = self.kept.remove(&tensor) {
            self.size_bytes -= kept.size_bytes;
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

/// Errors: [`Error::Engine`] if a tensor was released.
fn versions(tensors: &Tensors, part: &WeightPart) -> Result<[u64; 2], Error> {
    let scales = match part.scales {
        Some(scales) => tensors.get(scales)?.version,
        None => 0,
    };
    Ok([tensors.get(part.packed)?.version, scales])
}
