//! `cached_attention`: the cache's blocks one behind the other, then [`attention`].

use gpu::Result;
use gpu::tensor::DType;
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::attention::attention;
use crate::kernel::attention::AttentionShape;
use crate::kernel::kv_append::CacheLayout;

/// The twin is [`crate::kernel::cached_attention::gather`].
pub fn gather(cache: &[u32], layout: CacheLayout<'_>, n_tokens: usize) -> Result<Vec<f32>> {
    let mut out = vec![0.0; n_tokens * layout.width];
    if layout.width == 0 {
        return Ok(out);
    }
    for (i, out) in out.chunks_mut(layout.block * layout.width).enumerate() {
        let at = layout.at(i * layout.block)?;
        if layout.dtype == DType::F16 {
            bytemuck::cast_slice::<u32, f16>(cache)[at..at + out.len()].convert_to_f32_slice(out);
        } else {
            out.copy_from_slice(&bytemuck::cast_slice(cache)[at..at + out.len()]);
        }
    }
    Ok(out)
}

/// The twin is [`crate::kernel::cached_attention::cached_attention`].
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
    let (y, rest) = y.split_at_mut(n_tokens * shape.n_heads * shape.head);
    rest.fill(0.0);
    attention(q, &k, &v, shape, scale, |t| kv_len + t + 1, y)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fast::linear::tests::{error, noise};
    use crate::kernel;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn cached_attention_fast_equals_plain(
            kv_len in 0usize..70,
            n_tokens in 0usize..9,
            hidden in 0usize..3,
            block in 1usize..17,
            half: bool,
            seed in 0u32..1000,
        ) {
            let shape = AttentionShape { n_queries: n_tokens + hidden, n_keys: 0, n_heads: 4, n_kv_heads: 2, head: 6 };
            let width = 12;
            // Blocks in an order that is no order; one more than are needed.
            let n_blocks = (kv_len + n_tokens).div_ceil(block) + 1;
            let table: Vec<u32> = (0..n_blocks as u32).rev().collect();
            let dtype = if half { DType::F16 } else { DType::F32 };
            let layout = CacheLayout { table: &table, block, n_blocks, width, dtype };
            let n_words = (dtype.size_bytes(n_blocks * block * width) / 4) as usize;
            let cache = |seed| {
                let mut cache = vec![0; n_words];
                let rows = noise(seed, (kv_len + n_tokens) * width);
                kernel::kv_append::kv_append(&rows, layout, 0, kv_len + n_tokens, &mut cache).expect("the table reaches");
                cache
            };
            let (k, v) = (cache(seed), cache(seed + 1));
            let q = noise(seed + 2, shape.n_queries * 24);
            let (mut found, mut expected) = (vec![9.0; q.len()], vec![8.0; q.len()]);
            cached_attention(&q, &k, &v, layout, shape, 0.4, kv_len, n_tokens, &mut found).expect("the table reaches");
            kernel::cached_attention::cached_attention(&q, &k, &v, layout, shape, 0.4, kv_len, n_tokens, &mut expected)
                .expect("the table reaches");
            prop_assert!(error(&found, &expected) <= 1.5e-6);
        }
    }
}
