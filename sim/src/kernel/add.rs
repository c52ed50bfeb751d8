//! Twin of `add`.

/// `y = a + b`, all of one length.
pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
        *y = a + b;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn add_sums_element_by_element() {
        let mut y = [0.0; 3];
        super::add(&[1.0, -2.0, 0.5], &[0.25, 2.0, 1.0], &mut y);
        assert_eq!(y, [1.25, 0.0, 1.5]);
    }
}
