//! Twin of `layer_norm`.

/// `y = (x − mean) / √(var + eps) · weight + bias` over rows of `weight.len()`; the variance is the biased one.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    if width == 0 {
        return;
    }
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
        let squares: f64 = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
        let scale = 1.0 / (squares / width as f64 + f64::from(eps)).sqrt();
        for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            let normal = (f64::from(x) - mean) * scale;
            *y = (normal * f64::from(weight[i]) + f64::from(bias[i])) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn layer_norm_centres_and_scales() {
        let mut y = [0.0; 3];
        super::layer_norm(&[1.0, 2.0, 3.0], &[1.0, 1.0, 2.0], &[0.0, 5.0, 1.0], 0.0, &mut y);
        let z = 1.5f32.sqrt();
        assert!((y[0] + z).abs() < 1e-6);
        assert_eq!(y[1], 5.0);
        assert!((y[2] - (2.0 * z + 1.0)).abs() < 1e-6);
    }
}
