//! How close is close: relative RMS, and the tolerances of the tests with a reason each.

/// One f32 rounding is up to 6e-8. A linear layer's two orders of summing k products differ by about √k roundings of
/// partial sums; over the k of the tests (up to 4304) that was measured at 5e-7.
pub const LINEAR: f32 = 2e-6;
/// Products of f16 summed in f32: x and W are rounded once each, by 2⁻¹² or so of a value (2e-4 in RMS over a mantissa);
/// a second layer behind the first takes the same again.
pub const HALVES: f32 = 6e-4;
/// As linear, x in 15 bits and a sign of each group's largest: evenly spread values are off by up to 1.6e-5 of their own size,
/// in RMS a √3 less; a group whose largest stands out loses as much more.
pub const DOT: f32 = 3e-5;
/// Two layers of these and the output layer, with attention between: roundings add up over five products in a row.
pub const DOT_LAYERS: f32 = 1e-4;
/// As linear, with two sums (scores, values) and `exp` of a GPU, which may be 3 + 2|x| ULP off.
pub const ATTENTION: f32 = 4e-6;
/// A mean over the row, then a square root and a division that may be 2.5 ULP off.
pub const NORM: f32 = 1e-6;
/// One `exp`, a polynomial or a division an element.
pub const POINTWISE: f32 = 1e-6;
/// Two products and a sum; fused or not is the only freedom.
pub const ROTATE: f32 = 2e-7;
/// Four products whose sum may cancel to a tenth of them.
pub const MIX: f32 = 1e-6;
/// Nothing but copies and one rounding that is the same everywhere.
pub const EXACT: f32 = 0.0;
/// A log-probability: a sum of exponentials over the vocabulary, and a difference of numbers around 10.
pub const LOG_PROBABILITY: f32 = 2e-5;

/// `‖a − b‖ / ‖b‖` in f64; 0 if both are zero or empty, infinite for other lengths or a value that is no number.
pub fn relative_rms(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() || a.iter().chain(b).any(|v| !v.is_finite()) {
        return f32::INFINITY;
    }
    let square = |v: f64| v * v;
    let error: f64 = a.iter().zip(b).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    let size: f64 = b.iter().map(|&b| square(f64::from(b))).sum();
    if error == 0.0 { 0.0 } else { (error / size).sqrt() as f32 }
}

#[cfg(test)]
mod tests {
    use super::relative_rms;

    #[test]
    fn relative_rms_sees_scale_length_and_nan() {
        assert_eq!(relative_rms(&[], &[]), 0.0);
        assert_eq!(relative_rms(&[0.0], &[0.0]), 0.0);
        assert!((relative_rms(&[1.01, 2.02], &[1.0, 2.0]) - 0.01).abs() < 1e-6);
        assert_eq!(relative_rms(&[1.0], &[0.0]), f32::INFINITY);
        assert_eq!(relative_rms(&[1.0], &[1.0, 1.0]), f32::INFINITY);
        assert_eq!(relative_rms(&[f32::NAN], &[f32::NAN]), f32::INFINITY);
    }
}
