//! Twin of `lstm_cell`.

/// `c = σ(f) · c + σ(i) · tanh(g)`, `h = σ(o) · tanh(c)`; gates `[4D]` in the order i, f, g, o.
pub fn lstm_cell(gates: &[f32], h: &mut [f32], c: &mut [f32]) {
    let sigmoid = |x: f32| 1.0 / (1.0 + f64::from(-x).exp());
    let width = h.len();
    let gate = |quarter: usize, d: usize| gates[quarter * width + d];
    for (d, (h, c)) in h.iter_mut().zip(c).enumerate() {
        let cell = sigmoid(gate(1, d)) * f64::from(*c) + sigmoid(gate(0, d)) * f64::from(gate(2, d)).tanh();
        *c = cell as f32;
        *h = (sigmoid(gate(3, d)) * cell.tanh()) as f32;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn open_gates_let_everything_through() {
        let (mut h, mut c) = ([0.0], [0.5]);
        super::lstm_cell(&[40.0, 40.0, 0.25, 40.0], &mut h, &mut c);
        let cell = 0.5 + 0.25f32.tanh();
        assert!((c[0] - cell).abs() < 1e-6 && (h[0] - cell.tanh()).abs() < 1e-6);
        super::lstm_cell(&[-40.0, 0.0, 0.25, -40.0], &mut h, &mut c);
        assert!((c[0] - cell / 2.0).abs() < 1e-6 && h[0].abs() < 1e-6);
    }
}
