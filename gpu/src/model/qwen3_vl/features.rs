//! Embeddings of a picture on an engine, freed there when nobody holds them any more.

use std::sync::{Arc, Mutex, PoisonError};

use crate::tensor::TensorId;

/// Merged features and their deepstack levels, each `[n_tokens, D]` f32.
#[derive(Debug)]
pub struct FeatureTensors {
    /// Unique on one engine, never 0: what the KV cache knows the picture by.
    pub id: u64,
    pub n_tokens: usize,
    pub merged: TensorId,
    pub deepstack: Vec<TensorId>,
    pub(crate) released: ReleaseQueue,
}

impl Drop for FeatureTensors {
    fn drop(&mut self) {
        self.released.push([self.merged].into_iter().chain(self.deepstack.drain(..)));
    }
}

/// Tensors that wait to be freed by the engine's own thread.
#[derive(Clone, Debug, Default)]
pub struct ReleaseQueue(Arc<Mutex<Vec<TensorId>>>);

impl ReleaseQueue {
    fn push(&self, tensors: impl Iterator<Item = TensorId>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(tensors);
    }

    pub fn drain(&self) -> Vec<TensorId> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
