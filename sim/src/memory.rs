//! What a simulated GPU holds: tensors as vectors of words, and a pool that temporaries are drawn from.

use std::collections::HashMap;

use gpu::tensor::TensorId;
use gpu::{Error, Result};

/// Memory of a buffer, as the 32-bit words of a storage buffer.
pub type Words = Vec<u32>;

/// Zeroed words.
///
/// Errors: [`Error::OutOfMemory`].
pub fn zeroed(what: &str, size_bytes: u64) -> Result<Words> {
    let n_words = size_bytes.div_ceil(4).max(1);
    let fits = usize::try_from(n_words)
        .ok()
        .filter(|&n| Words::new().try_reserve_exact(n).is_ok());
    // A fresh zeroed vector takes untouched pages, which a reserved and then filled one would not.
    fits.map(|n| vec![0; n]).ok_or_else(|| Error::OutOfMemory {
        what: what.to_owned(),
        size_bytes,
    })
}

/// A tensor's words, and how often they were changed.
#[derive(Default)]
pub struct Tensor {
    pub words: Words,
    pub version: u64,
}

/// All tensors of an engine.
#[derive(Default)]
pub struct Tensors {
    tensors: HashMap<TensorId, Tensor>,
    next_id: u64,
}

impl Tensors {
    pub fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        let words = zeroed(name, size_bytes)?;
        self.next_id += 1;
        let id = TensorId(self.next_id);
        self.tensors.insert(id, Tensor { words, version: 0 });
        Ok(id)
    }

    /// A tensor under an id that somebody else gave; one that is there stays as it is. Not to be mixed with [`Tensors::create`].
    pub fn adopt(&mut self, id: TensorId, name: &str, size_bytes: u64) -> Result<()> {
        if !self.has(id) {
            let words = zeroed(name, size_bytes)?;
            self.tensors.insert(id, Tensor { words, version: 0 });
        }
        Ok(())
    }

    pub fn has(&self, id: TensorId) -> bool {
        self.tensors.contains_key(&id)
    }

    pub fn release(&mut self, id: TensorId) {
        self.tensors.remove(&id);
    }

    /// Errors: [`Error::Engine`] if the tensor is not there (any more).
    pub fn get(&self, id: TensorId) -> Result<&Tensor> {
        self.tensors.get(&id).ok_or_else(|| unknown(id))
    }

    /// To be changed; errors as [`Tensors::get`].
    pub fn get_mut(&mut self, id: TensorId) -> Result<&mut Words> {
        let tensor = self.tensors.get_mut(&id).ok_or_else(|| unknown(id))?;
        tensor.version += 1;
        Ok(&mut tensor.words)
    }

    /// Bytes `offset .. offset + size_bytes` of a tensor.
    ///
    /// Errors: [`Error::Engine`] if the range is not on whole words inside of the tensor.
    pub fn range(&self, id: TensorId, offset: u64, size_bytes: u64) -> Result<&[u32]> {
        let words = &self.get(id)?.words;
        let range = word_range(id, words.len(), offset, size_bytes)?;
        Ok(&words[range])
    }

    /// As [`Tensors::range`], to be changed.
    pub fn range_mut(&mut self, id: TensorId, offset: u64, size_bytes: u64) -> Result<&mut [u32]> {
        let words = self.get_mut(id)?;
        let range = word_range(id, words.len(), offset, size_bytes)?;
        Ok(&mut words[range])
    }

    pub fn size_bytes(&self) -> u64 {
        let words = self.tensors.values().map(|tensor| tensor.words.len());
        words.sum::<usize>() as u64 * 4
    }
}

fn unknown(id: TensorId) -> Error {
    Error::Engine {
        what: "tensor",
        message: format!("tensor {} is not there", id.0),
    }
}

fn word_range(id: TensorId, n_words: usize, offset: u64, size_bytes: u64) -> Result<std::ops::Range<usize>> {
    let aligned = offset.is_multiple_of(4) && size_bytes.is_multiple_of(4);
    match offset.checked_add(size_bytes) {
        Some(end) if aligned && end <= n_words as u64 * 4 => Ok((offset / 4) as usize..(end / 4) as usize),
        _ => Err(Error::Engine {
            what: "tensor",
            message: format!(
                "{size_bytes} bytes at {offset} are not whole words of tensor {}, which has {} bytes",
                id.0,
                n_words * 4
            ),
        }),
    }
}

/// Memory of temporaries that are dead, for those to come. Bounded: what exceeds `max_bytes` is freed.
pub struct Pool {
    free: Vec<Words>,
    max_bytes: u64,
}

impl Pool {
    pub fn new(max_bytes: u64) -> Self {
        Self {
            free: Vec::new(),
            max_bytes,
        }
    }

    /// `n_words` words with any content: the smallest free memory that is large enough without wasting half, or new one.
    ///
    /// Errors: [`Error::OutOfMemory`].
    pub fn take(&mut self, n_words: usize) -> Result<Words> {
        let fitting = self
            .free
            .iter()
            .enumerate()
            .filter(|(_, words)| words.len() >= n_words && words.len() <= n_words.saturating_mul(2).max(1024));
        match fitting.min_by_key(|(_, words)| words.len()) {
            Some((i, _)) => Ok(self.free.swap_remove(i)),
            None => zeroed("a temporary", n_words as u64 * 4),
        }
    }

    pub fn give(&mut self, words: Words) {
        if !words.is_empty() {
            self.free.push(words);
        }
        while self.size_bytes() > self.max_bytes {
            self.free.remove(0);
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.free.iter().map(Vec::len).sum::<usize>() as u64 * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_refuse_ranges_that_are_not_theirs() -> Result<()> {
        let mut tensors = Tensors::default();
        let id = tensors.create("t", 7)?;
        assert_eq!(tensors.range(id, 0, 8)?, [0, 0]);
        for (offset, size_bytes) in [(0, 12), (8, 4), (2, 4), (0, 3), (u64::MAX - 3, 4)] {
            assert!(tensors.range(id, offset, size_bytes).is_err(), "{offset}");
        }
        tensors.release(id);
        assert!(tensors.get(id).is_err());
        assert!(matches!(tensors.create("huge", u64::MAX), Err(Error::OutOfMemory { .. })));
        Ok(())
    }

    #[test]
    fn pool_reuses_and_stays_bounded() -> Result<()> {
        let mut pool = Pool::new(40_000);
        pool.give(vec![7; 6000]);
        assert_eq!(pool.take(5000)?[0], 7);
        assert_eq!(pool.take(5000)?[0], 0);
        pool.give(vec![0; 6000]);
        pool.give(vec![0; 6000]);
        assert_eq!(pool.size_bytes(), 24_000);
        Ok(())
    }
}
