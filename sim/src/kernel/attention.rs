//! Twin of `attention`, and the formula that cached attention shares with it.

/// Sizes of an attention: `S` keys, `H` query heads, `K` kv heads, head size `E`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    pub n_queries: usize,
    pub n_keys: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head: usize,
}

/// `y[t, h] = Σ_s softmax_s(q[t, h] · k[s, g] · scale) v[s, g]`, g = h / (H/K), over the first `visible(t)` keys.
///
/// Shapes: q `[T, H, E]`; k, v `[S, K, E]`; y `[T, H, E]`. A query that sees no key gives zeros.
pub fn attention(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: AttentionShape,
    scale: f32,
    visible: impl Fn(usize) -> usize,
    y: &mut [f32],
) {
    let AttentionShape {
        n_heads,
        n_kv_heads,
        head,
        ..
    } = shape;
    let mut sum = vec![0f64; head];
    for t in 0..shape.n_queries {
        let n_visible = visible(t).min(shape.n_keys);
        for h in 0..n_heads {
            let group = h / (n_heads / n_kv_heads);
            let q = &q[(t * n_heads + h) * head..][..head];
            let at = |s: usize| (s * n_kv_heads + group) * head;

            let scores: Vec<f64> = (0..n_visible)
                .map(|s| dot(q, &k[at(s)..][..head]) * f64::from(scale))
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = weights.iter().sum();

            sum.fill(0.0);
            for (s, weight) in weights.iter().enumerate() {
                for (sum, &v) in sum.iter_mut().zip(&v[at(s)..][..head]) {
                    *sum += weight * f64::from(v);
                }
            }
            let y = &mut y[(t * n_heads + h) * head..][..head];
            for (y, sum) in y.iter_mut().zip(&sum) {
                *y = if n_visible == 0 { 0.0 } else { (sum / total) as f32 };
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_mixes_values_by_softmax_and_shares_kv_heads() {
        let shape = AttentionShape {
            n_queries: 1,
            n_keys: 2,
            n_heads: 2,
            n_kv_heads: 1,
            head: 1,
        };
        let mut y = [0.0; 2];
        // Head 0: scores 0 and ln 3 → weights 1/4 and 3/4. Head 1: both 0.
        let q = [3f32.ln(), 0.0];
        attention(&q, &[0.0, 2.0], &[8.0, 4.0], shape, 0.5, |_| 2, &mut y);
        assert!((y[0] - 5.0).abs() < 1e-6);
        assert!((y[1] - 6.0).abs() < 1e-6);
        attention(&q, &[0.0, 2.0], &[8.0, 4.0], shape, 0.5, |_| 1, &mut y);
        assert_eq!(y, [8.0, 8.0]);
    }
}
