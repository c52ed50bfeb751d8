//! What a launch has to do, counted from its shapes: bytes and operations. How long that takes on a device is a simulator's
//! business (`sim`, `timing`).
//!
//! Rules of counting: a multiply with its add is two operations, a transcendental is eight; a byte that several lanes read
//! is *touched* once and *read again* for the rest; what depends on the tokens in the KV cache is counted a cached token.

use super::Binding;

/// An amount that grows with the tokens that are in the KV cache before a play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub fixed: u64,
    pub per_cached_token: u64,
}

impl Amount {
    pub fn fixed(amount: usize) -> Self {
        Self {
            fixed: amount as u64,
            per_cached_token: 0,
        }
    }

    /// `a · b · c …`, which may be more than a word of the tab can count.
    pub fn product<const N: usize>(factors: [usize; N]) -> Self {
        Self {
            fixed: factors.into_iter().map(|factor| factor as u64).product(),
            per_cached_token: 0,
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            fixed: self.fixed + other.fixed,
            per_cached_token: self.per_cached_token + other.per_cached_token,
        }
    }

    pub fn growing(fixed: usize, per_cached_token: usize) -> Self {
        Self {
            fixed: fixed as u64,
            per_cached_token: per_cached_token as u64,
        }
    }

    pub fn times(self, n: usize) -> Self {
        Self {
            fixed: self.fixed * n as u64,
            per_cached_token: self.per_cached_token * n as u64,
        }
    }

    /// What is left of it; not below 0.
    pub fn minus(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.saturating_sub(other.fixed),
            per_cached_token: self.per_cached_token.saturating_sub(other.per_cached_token),
        }
    }

    /// The amount with `n` tokens in the cache.
    pub fn at(self, n: usize) -> u64 {
        self.fixed + self.per_cached_token * n as u64
    }
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    F32,
    F16,
    /// Packed dot products of bytes.
    Int8,
    /// Matrices of f16 with sums in f32, by subgroups.
    Matrix,
}

impl Unit {
    pub const ALL: [Unit; 4] = [Unit::F32, Unit::F16, Unit::Int8, Unit::Matrix];
}

/// Kernels of one kind reach about the same share of a device's peaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Not said: a kernel that no pass of a model uses.
    Unstated,
    /// A lane its own values.
    Lanes,
    /// Lanes share a row.
    Rows,
    /// A weight times few vectors.
    Matvec,
    /// A weight times many vectors.
    Matmul,
    /// Few queries over many keys.
    Decoding,
    /// Many queries over many keys.
    Attention,
    /// The choice of a token.
    Sampling,
}

/// What one launch has to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    pub class: Class,
    /// Bytes of each binding that are read or written, once each, in the order of the bindings.
    pub touched: Vec<Amount>,
    /// Bytes that lanes ask for beyond that: caches serve them.
    pub read_again: Amount,
    /// By [`Unit`], in the order of [`Unit::ALL`].
    pub operations: [Amount; 4],
}

impl Cost {
    /// Every binding as a whole, once, and no operation.
    pub fn whole(bindings: &[Binding]) -> Self {
        Self {
            class: Class::Unstated,
            touched: bindings
                .iter()
                .map(|binding| Amount::fixed(binding.operand.size_bytes as usize))
                .collect(),
            read_again: Amount::default(),
            operations: [Amount::default(); 4],
        }
    }

    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Of the binding `name` only this much is touched; `bindings` are those of [`Cost::whole`].
    pub fn touch(mut self, bindings: &[Binding], name: &str, amount: Amount) -> Self {
        for (touched, binding) in self.touched.iter_mut().zip(bindings) {
            if binding.name == name {
                *touched = amount;
            }
        }
        self
    }

    pub fn read_again(mut self, amount: Amount) -> Self {
        self.read_again = amount;
        self
    }

    /// Adds operations on a unit.
    pub fn compute(mut self, unit: Unit, amount: Amount) -> Self {
        let operations = &mut self.operations[unit as usize];
        operations.fixed += amount.fixed;
        operations.per_cached_token += amount.per_cached_token;
        self
    }

    /// [`Class::Lanes`] with as many f32 operations for each of `n` values.
    pub fn lanes(self, n: usize, operations: usize) -> Self {
        self.class(Class::Lanes).compute(Unit::F32, Amount::fixed(n * operations))
    }

    /// Bytes that are touched with `n` tokens in the cache.
    pub fn touched_bytes(&self, n: usize) -> u64 {
        self.touched.iter().map(|amount| amount.at(n)).sum()
    }
}
