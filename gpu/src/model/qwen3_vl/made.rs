//! What was made on an engine for one purpose, so that a failure half-way leaves nothing there.

use crate::engine::{Engine, PreparedId};
use crate::error::Result;
use crate::recording::Recording;
use crate::tensor::TensorId;
use crate::weights::Weight;

/// Tensors and prepared recordings that are freed together.
#[derive(Debug, Default)]
pub struct Made {
    tensors: Vec<TensorId>,
    prepared: Vec<PreparedId>,
}

impl Made {
    /// Notes a tensor that somebody else made.
    pub fn note(&mut self, tensor: TensorId) -> TensorId {
        self.tensors.push(tensor);
        tensor
    }

    pub fn note_weight(&mut self, weight: &Weight) {
        for part in &weight.parts {
            self.tensors.push(part.packed);
            self.tensors.extend(part.scales);
        }
    }

    /// As [`Engine::create`].
    pub fn create<E: Engine + ?Sized>(&mut self, engine: &mut E, name: &str, size_bytes: u64) -> Result<TensorId> {
        Ok(self.note(engine.create(name, size_bytes)?))
    }

    /// A tensor with these bytes.
    pub fn upload<E: Engine + ?Sized>(&mut self, engine: &mut E, name: &str, bytes: &[u8]) -> Result<TensorId> {
        let tensor = self.create(engine, name, bytes.len() as u64)?;
        engine.write(tensor, 0, bytes)?;
        Ok(tensor)
    }

    /// As [`Engine::prepare`], with or without taps.
    pub fn prepare<E: Engine + ?Sized>(
        &mut self,
        engine: &mut E,
        mut recording: Recording,
        keep_taps: bool,
    ) -> Result<PreparedId> {
        recording.keep_taps = keep_taps;
        let prepared = engine.prepare(recording)?;
        self.prepared.push(prepared);
        Ok(prepared)
    }

    /// Frees all of it.
    pub fn free<E: Engine + ?Sized>(self, engine: &mut E) {
        self.prepared.into_iter().for_each(|prepared| engine.discard(prepared));
        self.tensors.into_iter().for_each(|tensor| engine.release(tensor));
    }
}
