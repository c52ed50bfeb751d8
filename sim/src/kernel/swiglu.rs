//! Twin of `swiglu`.

/// `y = gate / (1 + e^(−gate)) · up`, element by element.
pub fn swiglu(gate: &[f32], up: &[f32], y: &mut [f32]) {
    for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
        let gate = f64::from(gate);
        *y = (gate / (1.0 + (-gate).exp()) * f64::from(up)) as f32;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn swiglu_gates() {
        let mut y = [0.0; 3];
        super::swiglu(&[0.0, 1.0, -200.0], &[5.0, 2.0, 1.0], &mut y);
        assert_eq!(y[0], 0.0);
        assert!((y[1] - 1.462_117_2).abs() < 1e-6);
        assert!(y[2].abs() < 1e-30);
    }
}
