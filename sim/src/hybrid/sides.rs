//! [`Sides`]: which bytes of which tensor are newest on which side. Every byte is on at least one.

use std::collections::HashMap;
use std::ops::Range;

use gpu::tensor::TensorId;

use super::ranges::Ranges;
use super::split::Touch;

/// What one tensor lacks on either side.
#[derive(Clone, Debug, Default)]
struct Lacks {
    real: Ranges,
    sim: Ranges,
}

/// All tensors that are there.
#[derive(Debug, Default)]
pub struct Sides {
    lacks: HashMap<TensorId, Lacks>,
}

/// All bytes of it.
pub fn whole(touch: &Touch) -> Range<u64> {
    0..touch.size_bytes
}

impl Sides {
    /// A tensor is made: zeros on both sides.
    pub fn create(&mut self, tensor: TensorId) {
        self.lacks.insert(tensor, Lacks::default());
    }

    pub fn release(&mut self, tensor: TensorId) {
        self.lacks.remove(&tensor);
    }

    /// The same was written to both.
    pub fn on_both(&mut self, tensor: TensorId, range: &Range<u64>) {
        if let Some(lacks) = self.lacks.get_mut(&tensor) {
            lacks.real.remove(range);
            lacks.sim.remove(range);
        }
    }

    pub fn on_real(&mut self, tensor: TensorId, range: &Range<u64>) {
        if let Some(lacks) = self.lacks.get_mut(&tensor) {
            lacks.real.remove(range);
            lacks.sim.add(range.clone());
        }
    }

    pub fn on_sim(&mut self, tensor: TensorId, range: &Range<u64>) {
        if let Some(lacks) = self.lacks.get_mut(&tensor) {
            lacks.sim.remove(range);
            lacks.real.add(range.clone());
        }
    }

    /// Bytes of a range that the real side has to be sent.
    pub fn real_lacks(&self, tensor: TensorId, range: &Range<u64>) -> Vec<Range<u64>> {
        self.lacks.get(&tensor).map_or(Vec::new(), |lacks| lacks.real.within(range))
    }

    /// Bytes of a range that the simulated side has to fetch.
    pub fn sim_lacks(&self, tensor: TensorId, range: &Range<u64>) -> Vec<Range<u64>> {
        self.lacks.get(&tensor).map_or(Vec::new(), |lacks| lacks.sim.within(range))
    }

    /// The real side got these bytes.
    pub fn sent(&mut self, tensor: TensorId, range: &Range<u64>) {
        if let Some(lacks) = self.lacks.get_mut(&tensor) {
            lacks.real.remove(range);
        }
    }

    /// The simulated side got these bytes.
    pub fn fetched(&mut self, tensor: TensorId, range: &Range<u64>) {
        if let Some(lacks) = self.lacks.get_mut(&tensor) {
            lacks.sim.remove(range);
        }
    }
}
