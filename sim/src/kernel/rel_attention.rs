//! Twin of `rel_attention`.

/// What the queries share.
#[derive(Clone, Copy)]
pub struct RelKeys<'a> {
    pub k: &'a [f32],      // [T, H, E]
    pub values: &'a [f32], // [T, H, E]
    pub r: &'a [f32],      // [2T − 1, H, E]
    pub u: &'a [f32],      // [H, E]
    pub v: &'a [f32],      // [H, E]
    pub n_rows: usize,
    pub n_heads: usize,
    pub head: usize,
    /// Keys that count.
    pub n_keys: usize,
    pub scale: f32,
}

/// Row `i` of the output, `[H, E]`, for query row `q [H, E]`:
/// `softmax_j(((q + u) · k_j + (q + v) · r[T − 1 − i + j]) · scale)` over values.
pub fn rel_attention_row(q: &[f32], i: usize, keys: RelKeys<'_>, y: &mut [f32]) {
    let RelKeys { head, n_heads, .. } = keys;
    let n_keys = keys.n_keys.min(keys.n_rows);
    for h in 0..n_heads {
        let part = h * head..(h + 1) * head;
        let (q, u, v) = (&q[part.clone()], &keys.u[part.clone()], &keys.v[part.clone()]);
        let start = |row: usize| (row * n_heads + h) * head;
        let dot = |bias: &[f32], x: &[f32]| -> f64 {
            let biased = q.iter().zip(bias).map(|(&q, &bias)| f64::from(q) + f64::from(bias));
            biased.zip(x).map(|(a, &b)| a * f64::from(b)).sum()
        };
        let scores: Vec<f64> = (0..n_keys)
            .map(|j| {
                let distance = keys.n_rows - 1 + j - i;
                let (k, r) = (&keys.k[start(j)..][..head], &keys.r[start(distance)..][..head]);
                (dot(u, k) + dot(v, r)) * f64::from(keys.scale)
            })
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut sum = vec![0f64; head];
        for (j, weight) in weights.iter().enumerate() {
            for (sum, &value) in sum.iter_mut().zip(&keys.values[start(j)..][..head]) {
                *sum += weight * f64::from(value);
            }
        }
        for (y, sum) in y[part].iter_mut().zip(&sum) {
            *y = if n_keys == 0 { 0.0 } else { (sum / total) as f32 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_decides_where_keys_are_equal() {
        // Two rows, one head of one: r has the distances 1, 0, −1.
        let keys = RelKeys {
            k: &[0.0, 0.0],
            values: &[8.0, 4.0],
            r: &[0.0, 3f32.ln(), 7f32.ln()],
            u: &[0.0],
            v: &[1.0],
            n_rows: 2,
            n_heads: 1,
            head: 1,
            n_keys: 2,
            scale: 1.0,
        };
        let mut y = [0.0];
        rel_attention_row(&[0.0], 0, keys, &mut y);
        assert!((y[0] - (8.0 * 3.0 + 4.0 * 7.0) / 10.0).abs() < 1e-6, "{y:?}");
        rel_attention_row(&[0.0], 1, keys, &mut y);
        assert!((y[0] - (8.0 + 4.0 * 3.0) / 4.0).abs() < 1e-6, "{y:?}");
        rel_attention_row(&[0.0], 1, RelKeys { n_keys: 1, ..keys }, &mut y);
        assert_eq!(y, [8.0]);
        rel_attention_row(&[0.0], 1, RelKeys { n_keys: 0, ..keys }, &mut y);
        assert_eq!(y, [0.0]);
    }
}
