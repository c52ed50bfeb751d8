//! Twin of `add_scaled`.

/// `y = a + scale · b`.
pub fn add_scaled(a: &[f32], b: &[f32], scale: f32, y: &mut [f32]) {
    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
        *y = a + scale * b;
    }
}
