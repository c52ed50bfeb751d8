//! Twin of `gelu`, both forms, in f64.

use gpu::recording::GeluForm;

/// `y = gelu(x)`, element by element.
pub fn gelu(x: &[f32], form: GeluForm, y: &mut [f32]) {
    let formula = match form {
        GeluForm::Tanh => gelu_tanh,
        GeluForm::Erf => gelu_erf,
    };
    for (y, &x) in y.iter_mut().zip(x) {
        *y = formula(f64::from(x)) as f32;
    }
}

/// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))`
fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

/// `0.5 x (1 + erf(x / √2)) = 0.5 x erfc(−x / √2)`, the second form keeps its digits for very negative `x`.
fn gelu_erf(x: f64) -> f64 {
    0.5 * x * erfc(-x / std::f64::consts::SQRT_2)
}

/// The complementary error function, relative error about 1e-13: the Maclaurin series of erf near 0, and a continued
/// fraction (Abramowitz and Stegun, 7.1.6 and 7.1.14) further out.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.5 {
        // erf(x) = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)); all terms are positive.
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 * scale * sum;
    }
    // erfc(x) = e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))), from the inside out.
    let fraction = (1..=60).rev().fold(x, |inner, n| x + f64::from(n) / 2.0 / inner);
    scale / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_erf_agrees_with_tables() {
        // erf from Abramowitz and Stegun, table 7.1.
        for (x, erf) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (3.0, 0.999_977_909_5),
        ] {
            assert!((1.0 - erfc(x) - erf).abs() < 2e-10, "erf({x})");
            assert!((1.0 - erfc(-x) + erf).abs() < 2e-10, "erf(-{x})");
        }
    }

    #[test]
    fn gelu_series_meets_fraction() {
        let (below, above) = (erfc(2.499_999_999_99), erfc(2.500_000_000_01));
        assert!(((below - above) / above).abs() < 1e-9);
    }

    #[test]
    fn gelu_tanh_agrees_with_its_formula_at_one() {
        let mut y = [0.0; 3];
        gelu(&[1.0, 0.0, -1.0], GeluForm::Tanh, &mut y);
        assert!((y[0] - 0.841_192).abs() < 1e-6);
        assert_eq!(y[1], 0.0);
        assert!((y[2] + 0.158_808).abs() < 1e-6);
    }
}
