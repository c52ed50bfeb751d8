//! Twin of `glu`.

/// `y[t, d] = x[t, d] · σ(x[t, D + d])`; rows of `width` D.
pub fn glu(x: &[f32], width: usize, y: &mut [f32]) {
    if width == 0 {
        return;
    }
    for (x, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)) {
        let (values, gates) = x.split_at(width);
        for ((y, &value), &gate) in y.iter_mut().zip(values).zip(gates) {
            *y = (f64::from(value) / (1.0 + f64::from(-gate).exp())) as f32;
        }
    }
}
