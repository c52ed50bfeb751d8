//! Weights that were dequantised before.

use gpu::tensor::TensorId;

#[derive(Default)]
pub struct WeightCache {}

impl WeightCache {
    pub fn forget(&mut self, _tensor: TensorId) {}

    pub fn size_bytes(&self) -> u64 {
        0
    }
}
