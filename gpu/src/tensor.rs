//! Element types, shapes, and the ids of what lies on an engine.

use std::fmt;

/// Element types of buffers. Activations are always f32; f16 and packed words occur in weights and in the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    /// Pairs in a u32, the lower index in the lower half.
    F16,
    U32,
    /// Four in a u32, the lowest index in the lowest byte.
    U8,
}

impl DType {
    /// Bytes of `n` elements, rounded up to whole 32-bit words.
    pub fn size_bytes(self, n: usize) -> u64 {
        let bytes = match self {
            DType::F32 | DType::U32 => n as u64 * 4,
            DType::F16 => n as u64 * 2,
            DType::U8 => n as u64,
        };
        bytes.next_multiple_of(4)
    }
}

/// Up to four extents, the outermost first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// How many elements.
    pub fn n(&self) -> usize {
        self.0.iter().product()
    }

    /// The innermost extent; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// All extents but the innermost, multiplied; for an innermost extent of 0, 0.
    pub fn rows(&self) -> usize {
        if self.last() == 0 { 0 } else { self.n() / self.last() }
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Self {
        Shape(extents.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A piece of an engine's memory that outlives recordings: weights, the KV cache, state, inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u64);
