//! The exponential, and what is made of it, over slices: loops that the compiler turns into vector code.
//!
//! No fused multiply-add, so that every machine gets the same bits.

use pulp::Arch;

/// `e^x`, relative error at most 1.2e-7 for −87 ≤ x ≤ 88; outside, the value at the nearer end. NaN gives some number.
///
/// x = n ln 2 + r, |r| ≤ ln 2 / 2; e^r by its Taylor series to r⁷/7!, whose rest is below 6e-9.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// ln 2 in two pieces; n · `LN_2_HIGH` is exact for the n that occur.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Adding 1.5 · 2²³ rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;

    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let e_r = 1.0 + (r + r * r * p);
    e_r * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// `row = e^(row − largest)`, and their sum.
#[inline(always)]
pub fn exp_row(row: &mut [f32], largest: f32) -> f32 {
    let mut sums = [0f32; 16];
    let (chunks, rest) = row.as_chunks_mut::<16>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = exp(*x - largest);
            *sum += *x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *x = exp(*x - largest);
        *sum += *x;
    }
    sums.iter().sum()
}

/// The largest value; −∞ for an empty row.
#[inline(always)]
pub fn largest(row: &[f32]) -> f32 {
    let pick = |a: f32, b: f32| if b > a { b } else { a };
    let mut best = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (best, &x) in best.iter_mut().zip(chunk) {
            *best = pick(*best, x);
        }
    }
    best.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| pick(a, b))
}

/// `y = silu(gate) · up`
pub fn swiglu(gate: &[f32], up: &[f32], y: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                *y = gate / (1.0 + exp(-gate)) * up;
            }
        },
    );
}

/// The tanh form: `0.5 x (1 + tanh(u)) = x / (1 + e^(−2u))`, u = √(2/π) (x + 0.044715 x³).
pub fn gelu_tanh(x: &[f32], y: &mut [f32]) {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                let u2 = TWICE_SQRT_2_OVER_PI * (x + 0.044_715 * (x * x * x));
                *y = x / (1.0 + exp(-u2));
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use gpu::recording::GeluForm;

    use super::*;
    use crate::kernel;

    #[test]
    fn exp_is_within_a_unit_in_the_last_place() {
        let mut worst = 0f64;
        for i in 0..2_000_000 {
            let x = -87.0 + i as f32 * (175.0 / 2_000_000.0);
            let expected = f64::from(x).exp();
            worst = worst.max(((f64::from(exp(x)) - expected) / expected).abs());
        }
        assert!(worst < 1.2e-7, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(1000.0) > 1e38);
    }

    #[test]
    fn exp_row_sums_and_largest_finds() {
        for n in [0, 1, 15, 16, 17, 100] {
            let row: Vec<f32> = (0..n).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
            let top = largest(&row);
            assert_eq!(top, row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let mut exps = row.clone();
            let sum = exp_row(&mut exps, top);
            let expected: f64 = row.iter().map(|&x| f64::from(x - top).exp()).sum();
            assert!((f64::from(sum) - expected).abs() <= expected * 3e-7, "{n}");
        }
    }

    #[test]
    fn gated_units_agree_with_their_twins() {
        let x: Vec<f32> = (-4000..=4000).map(|i| i as f32 * 0.01).collect();
        let up: Vec<f32> = x.iter().map(|x| 1.0 - x * 0.3).collect();
        let (mut fast, mut plain) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let close = |fast: &[f32], plain: &[f32], bound: &[f32]| {
            for i in 0..x.len() {
                let error = (fast[i] - plain[i]).abs();
                assert!(error <= 4e-7 * bound[i].abs().max(0.1), "{}: {} {}", x[i], fast[i], plain[i]);
            }
        };
        gelu_tanh(&x, &mut fast);
        kernel::gelu::gelu(&x, GeluForm::Tanh, &mut plain);
        close(&fast, &plain, &plain);
        swiglu(&x, &up, &mut fast);
        kernel::swiglu::swiglu(&x, &up, &mut plain);
        let bound: Vec<f32> = plain.iter().zip(&up).map(|(y, up)| y.abs().max(up.abs())).collect();
        close(&fast, &plain, &bound);
    }
}
