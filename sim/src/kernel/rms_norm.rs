//! Twin of `rms_norm`.

/// `y = x / √(mean(x²) + eps) · weight` over rows of `weight.len()`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    if width == 0 {
        return;
    }
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let scale = 1.0 / (squares / width as f64 + f64::from(eps)).sqrt();
        for ((y, &x), &weight) in y.iter_mut().zip(x).zip(weight) {
            *y = (f64::from(x) * scale * f64::from(weight)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rms_norm_divides_by_the_root_mean_square() {
        let mut y = [0.0; 4];
        super::rms_norm(&[3.0, 4.0, 0.0, 0.0], &[1.0, 2.0], 0.0, &mut y);
        let rms = 12.5f32.sqrt();
        assert!((y[0] - 3.0 / rms).abs() < 1e-6);
        assert!((y[1] - 8.0 / rms).abs() < 1e-6);
        // 0 / √0 is not asked for: with eps 0 the second row is NaN, as the formula says.
        assert!(y[2].is_nan());
    }
}
