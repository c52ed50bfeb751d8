//! Twin of `attn_prefill` and `attn_decode`, which are one operation: causal attention over the KV cache.

use gpu::Result;
use gpu::tensor::DType;
use half::f16;

use super::attention::{AttentionShape, attention};
use super::kv_append::CacheLayout;

/// Tokens `0 .. n_tokens` of the cache in order, as f32 `[n_tokens, K, E]`.
///
/// Errors: as [`CacheLayout::at`].
pub fn gather(cache: &[u32], layout: CacheLayout<'_>, n_tokens: usize) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(n_tokens * layout.width);
    for i in 0..n_tokens {
        let at = layout.at(i)?;
        if layout.dtype == DType::F16 {
            let cache: &[f16] = bytemuck::cast_slice(cache);
            out.extend(cache[at..at + layout.width].iter().map(|v| v.to_f32()));
        } else {
            let cache: &[f32] = bytemuck::cast_slice(cache);
            out.extend_from_slice(&cache[at..at + layout.width]);
        }
    }
    Ok(out)
}

/// Query t < `n_tokens` is token `kv_len + t` and sees tokens `0 ..= kv_len + t`; other rows of y become zeros.
///
/// Shapes: q, y `[T, H, E]`; k, v the cache `[n_blocks, block, K, E]`; `shape.n_queries` is T, `n_keys` is not used.
#[expect(clippy::too_many_arguments, reason = "the operands of the operation")]
pub fn cached_attention(
    q: &[f32],
    k: &[u32],
    v: &[u32],
    layout: CacheLayout<'_>,
    shape: AttentionShape,
    scale: f32,
    kv_len: usize,
    n_tokens: usize,
    y: &mut [f32],
) -> Result<()> {
    let shape = AttentionShape {
        n_queries: n_tokens,
        n_keys: if n_tokens == 0 { 0 } else { kv_len + n_tokens },
        ..shape
    };
    let k = gather(k, layout, shape.n_keys)?;
    let v = gather(v, layout, shape.n_keys)?;
    y.fill(0.0);
    attention(q, &k, &v, shape, scale, |t| kv_len + t + 1, y);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_attention_is_causal_and_finds_blocks() -> Result<()> {
        // Tokens 0, 1, 2 lie in blocks 1 and 0; keys are 0, so a query takes the mean of what it sees.
        let layout = CacheLayout {
            table: &[1, 0],
            block: 2,
            n_blocks: 2,
            width: 1,
            dtype: DType::F32,
        };
        let v: [f32; 4] = [6.0, 99.0, 1.0, 2.0];
        let shape = AttentionShape {
            n_queries: 3,
            n_keys: 0,
            n_heads: 1,
            n_kv_heads: 1,
            head: 1,
        };
        let mut y = [7.0; 3];
        cached_attention(&[1.0; 3], &[0; 4], bytemuck::cast_slice(&v), layout, shape, 1.0, 1, 2, &mut y)?;
        assert_eq!(y, [1.5, 3.0, 0.0]);
        Ok(())
    }
}
