//! Embeddings of a picture on an engine, and how their owner hears that nobody wants them any more.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Engine;
use crate::tensor::TensorId;

/// Merged features and their deepstack levels, each `[n_tokens, D]` f32, on the engine that encoded them.
#[derive(Debug)]
pub struct FeatureTensors {
    pub n_tokens: usize,
    pub merged: TensorId,
    pub deepstack: Vec<TensorId>,
}

impl FeatureTensors {
    /// Frees them there.
    pub fn free<E: Engine + ?Sized>(self, engine: &mut E) {
        engine.release(self.merged);
        self.deepstack.into_iter().for_each(|level| engine.release(level));
    }
}

/// Names features that the actor keeps, whichever engine they lie on at the time; tells it when the last clone is dropped.
#[derive(Debug)]
pub struct FeatureKey {
    /// Unique in one actor, never 0: what the KV cache knows the picture by.
    pub id: u64,
    pub n_tokens: usize,
    pub(crate) dropped: DropQueue,
}

impl Drop for FeatureKey {
    fn drop(&mut self) {
        let mut ids = self.dropped.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.push(self.id);
    }
}

/// Ids of features whose handles are gone.
#[derive(Clone, Debug, Default)]
pub struct DropQueue(Arc<Mutex<Vec<u64>>>);

impl DropQueue {
    /// Whether both are the same queue.
    pub fn is(&self, other: &DropQueue) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn drain(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
