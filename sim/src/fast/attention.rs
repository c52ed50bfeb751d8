//! `attention` in blocks: scores of a block of queries and a block of keys by a matrix product, softmax as it goes along.
//! Source of the running softmax: Milakov and Gimelshein, arXiv:1805.02867.

use gpu::Result;
use pulp::Arch;
use rayon::prelude::*;

use super::exp::{exp, exp_row, largest};
use super::gemm::{Matrix, Packed, Right, gemm, pack};
use crate::kernel::attention::AttentionShape;

/// Queries and keys of a block: its scores are 256 KiB, which a core's cache holds.
const QUERIES: usize = 128;
const KEYS: usize = 512;

/// One kv head's keys, transposed, and values, of one block.
struct KeyBlock {
    keys: Packed,
    values: Packed,
}

/// The twin is [`crate::kernel::attention::attention`].
pub fn attention(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: AttentionShape,
    scale: f32,
    visible: impl Fn(usize) -> usize + Sync,
    y: &mut [f32],
) -> Result<()> {
    let AttentionShape {
        n_queries,
        n_keys,
        n_heads,
        n_kv_heads,
        head,
    } = shape;
    if n_queries == 0 || n_heads == 0 || head == 0 {
        return Ok(());
    }
    let visible = |t| visible(t).min(n_keys);
    if n_queries == 1 {
        let group = n_heads / n_kv_heads;
        y.par_chunks_mut(head)
            .with_min_len(n_heads.div_ceil(1 + n_keys * n_heads / 2048))
            .enumerate()
            .for_each(|(h, y)| one_query(&q[h * head..][..head], k, v, n_kv_heads, h / group, visible(0), scale, y));
        return Ok(());
    }

    let n_blocks = n_keys.div_ceil(KEYS);
    let blocks = (0..n_kv_heads * n_blocks).into_par_iter().map(|i| {
        let (group, first) = (i / n_blocks, i % n_blocks * KEYS);
        let n = KEYS.min(n_keys - first);
        let at = (first * n_kv_heads + group) * head;
        let keys = Matrix::rows(&k[at..], [n, head], n_kv_heads * head).transposed();
        let values = Matrix::rows(&v[at..], [n, head], n_kv_heads * head);
        Ok(KeyBlock {
            keys: pack(keys)?,
            values: pack(values)?,
        })
    });
    let blocks: Vec<KeyBlock> = blocks.collect::<Result<_>>()?;

    let n_query_blocks = n_queries.div_ceil(QUERIES);
    let tasks = (0..n_query_blocks * n_heads).into_par_iter().map(|i| {
        let (first, h) = (i / n_heads * QUERIES, i % n_heads);
        let n = QUERIES.min(n_queries - first);
        let group = h / (n_heads / n_kv_heads);
        let blocks = &blocks[group * n_blocks..(group + 1) * n_blocks];
        let q = Matrix::rows(&q[(first * n_heads + h) * head..], [n, head], n_heads * head);
        let visible: Vec<usize> = (first..first + n).map(visible).collect();
        query_block(q, blocks, &visible, scale)
    });
    let outputs: Vec<Vec<f32>> = tasks.collect::<Result<_>>()?;

    for (i, output) in outputs.iter().enumerate() {
        let (first, h) = (i / n_heads * QUERIES, i % n_heads);
        for (t, row) in output.chunks_exact(head).enumerate() {
            y[((first + t) * n_heads + h) * head..][..head].copy_from_slice(row);
        }
    }
    Ok(())
}

/// One head's queries `[n, E]` over all key blocks; `visible` keys of each; `[n, E]`.
fn query_block(q: Matrix<'_>, blocks: &[KeyBlock], visible: &[usize], scale: f32) -> Result<Vec<f32>> {
    let [n, head] = q.shape;
    let most = visible.iter().copied().max().unwrap_or(0);
    let mut sums = vec![0f32; n * head];
    let mut totals = vec![0f32; n];
    let mut tops = vec![f32::NEG_INFINITY; n];
    let mut scores = vec![0f32; n * KEYS];
    for (i, block) in blocks.iter().enumerate() {
        let first = i * KEYS;
        if first >= most {
            break;
        }
        let n_keys = block.keys.cols();
        let scores = &mut scores[..n * n_keys];
        gemm(q, Right::Packed(&block.keys), scale, None, false, scores)?;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (t, row) in scores.chunks_exact_mut(n_keys).enumerate() {
                    let (seen, hidden) = row.split_at_mut(visible[t].saturating_sub(first).min(n_keys));
                    hidden.fill(0.0);
                    if seen.is_empty() {
                        continue;
                    }
                    let top = tops[t].max(largest(seen));
                    let shrink = if top == tops[t] { 1.0 } else { exp(tops[t] - top) };
                    tops[t] = top;
                    totals[t] = totals[t] * shrink + exp_row(seen, top);
                    if shrink != 1.0 {
                        sums[t * head..(t + 1) * head].iter_mut().for_each(|sum| *sum *= shrink);
                    }
                }
            },
        );
        gemm(
            Matrix::dense(scores, [n, n_keys]),
            Right::Packed(&block.values),
            1.0,
            None,
            true,
            &mut sums,
        )?;
    }
    for (row, &total) in sums.chunks_exact_mut(head).zip(&totals) {
        let factor = if total > 0.0 { 1.0 / total } else { 0.0 };
        row.iter_mut().for_each(|sum| *sum *= factor);
    }
    Ok(sums)
}

/// One head of one query `[E]` over the first `n_visible` keys.
#[expect(clippy::too_many_arguments, reason = "the operands of the operation")]
fn one_query(q: &[f32], k: &[f32], v: &[f32], n_kv_heads: usize, group: usize, n_visible: usize, scale: f32, y: &mut [f32]) {
    let head = q.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let rows = |x| <[f32]>::chunks_exact(x, head).skip(group).step_by(n_kv_heads).take(n_visible);
            let mut weights: Vec<f32> = rows(k).map(|k| dot(q, k) * scale).collect();
            let top = largest(&weights);
            let total = exp_row(&mut weights, top);
            y.fill(0.0);
            for (v, &weight) in rows(v).zip(&weights) {
                for (y, &v) in y.iter_mut().zip(v) {
                    *y += weight * v;
                }
            }
            let factor = if total > 0.0 { 1.0 / total } else { 0.0 };
            y.iter_mut().for_each(|y| *y *= factor);
        },
    );
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for j in 0..16 {
            sums[j] += a[j] * b[j];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fast::linear::tests::{error, noise};
    use crate::kernel;

    fn check(shape: AttentionShape, scale: f32, causal_from: Option<usize>, seed: u32) {
        let AttentionShape {
            n_queries,
            n_keys,
            n_heads,
            n_kv_heads,
            head,
        } = shape;
        let q = noise(seed, n_queries * n_heads * head);
        let k = noise(seed + 1, n_keys * n_kv_heads * head);
        let v = noise(seed + 2, n_keys * n_kv_heads * head);
        let visible = |t| causal_from.map_or(n_keys, |first| first + t + 1);
        let (mut found, mut expected) = (vec![9.0; q.len()], vec![9.0; q.len()]);
        kernel::attention::attention(&q, &k, &v, shape, scale, visible, &mut expected);
        attention(&q, &k, &v, shape, scale, visible, &mut found).expect("shapes agree");
        // Relative RMS. Scores are f32 up to about 10, so a weight is off by 5e-7; the products add as much again.
        let error = error(&found, &expected);
        assert!(error <= 1.5e-6, "{shape:?} {causal_from:?}: {error:e}");
    }

    #[test]
    fn attention_fast_equals_plain_on_named_shapes() {
        for (n_queries, n_keys, n_heads, n_kv_heads, head) in [
            (1, 1, 1, 1, 1),
            (300, 1100, 2, 1, 72),
            (129, 513, 4, 2, 64),
            (0, 3, 2, 2, 8),
            (3, 0, 2, 2, 8),
            (1, 0, 2, 2, 8),
            (1, 700, 16, 2, 128),
        ] {
            let shape = AttentionShape {
                n_queries,
                n_keys,
                n_heads,
                n_kv_heads,
                head,
            };
            check(shape, (head as f32).powf(-0.5) * 8.0, None, 3);
            check(
                shape,
                (head as f32).powf(-0.5) * 8.0,
                Some(n_keys.saturating_sub(n_queries)),
                3,
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn attention_fast_equals_plain(
            n_queries in 1usize..150,
            n_keys in 1usize..600,
            n_kv_heads in 1usize..4,
            group in 1usize..4,
            head in 1usize..80,
            causal_from in prop::option::of(0usize..500),
            seed in 0u32..1000,
        ) {
            let shape = AttentionShape { n_queries, n_keys, n_heads: group * n_kv_heads, n_kv_heads, head };
            check(shape, 1.0, causal_from, seed);
        }
    }
}
