//! Twin of `activate`.

use gpu::recording::speech::Activation;

/// `y = max(x, 0)` or `x / (1 + exp(−x))`.
pub fn activate(x: &[f32], form: Activation, y: &mut [f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = match form {
            Activation::Relu => x.max(0.0),
            Activation::Silu => (f64::from(x) / (1.0 + f64::from(-x).exp())) as f32,
        };
    }
}
