//! Twin of `kv_append`, and how a token is found in the cache.

use gpu::tensor::DType;
use gpu::{Error, Result};
use half::f16;

/// Where tokens lie: token `i` in row `i % block` of block `table[i / block]`, a row being `width` = K·E values.
#[derive(Clone, Copy)]
pub struct CacheLayout<'a> {
    pub table: &'a [u32],
    pub block: usize,
    pub n_blocks: usize,
    pub width: usize,
    pub dtype: DType,
}

impl CacheLayout<'_> {
    /// Index of the first value of token `i`.
    ///
    /// Errors: [`Error::Engine`] if the block table has no such token, or points outside of the cache.
    pub fn at(&self, i: usize) -> Result<usize> {
        let block = self.table.get(i / self.block).map(|&block| block as usize);
        match block.filter(|&block| block < self.n_blocks) {
            Some(block) => Ok((block * self.block + i % self.block) * self.width),
            None => Err(Error::Engine {
                what: "kv cache",
                message: match block {
                    Some(block) => format!("token {i} lies in block {block} of {}", self.n_blocks),
                    None => format!("token {i} is behind the table's {} blocks", self.table.len()),
                },
            }),
        }
    }
}

/// Writes `rows [T, K, E]`, t < `n_tokens`, as tokens `kv_len + t` of `cache [n_blocks, block, K, E]`.
pub fn kv_append(rows: &[f32], layout: CacheLayout<'_>, kv_len: usize, n_tokens: usize, cache: &mut [u32]) -> Result<()> {
    let width = layout.width;
    for t in 0..n_tokens {
        let at = layout.at(kv_len + t)?;
        let rows = &rows[t * width..(t + 1) * width];
        if layout.dtype == DType::F16 {
            let cache: &mut [f16] = bytemuck::cast_slice_mut(cache);
            for (cache, &value) in cache[at..at + width].iter_mut().zip(rows) {
                *cache = f16::from_f32(value);
            }
        } else {
            let cache: &mut [f32] = bytemuck::cast_slice_mut(cache);
            cache[at..at + width].copy_from_slice(rows);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kv_append_follows_the_table() -> Result<()> {
        let table = [2, 0];
        let layout = CacheLayout {
            table: &table,
            block: 2,
            n_blocks: 3,
            width: 1,
            dtype: DType::F32,
        };
        let mut cache = [0u32; 6];
        kv_append(&[1.0, 2.0, 3.0, 9.0], layout, 1, 3, &mut cache)?;
        let found: &[f32] = bytemuck::cast_slice(&cache);
        assert_eq!(found, [2.0, 3.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(kv_append(&[1.0], layout, 4, 1, &mut cache).is_err());
        Ok(())
    }

    #[test]
    fn kv_append_rounds_to_f16() -> Result<()> {
        let layout = CacheLayout {
            table: &[0],
            block: 1,
            n_blocks: 1,
            width: 2,
            dtype: DType::F16,
        };
        let mut cache = [0u32; 1];
        kv_append(&[1.0 + 2f32.powi(-12), -0.5], layout, 0, 1, &mut cache)?;
        assert_eq!(cache, [0xb800_3c00]);
        Ok(())
    }
}
