//! Twin of `conv_down`.

/// Row `t_out` of the output, `[⌈F/2⌉, C]`.
///
/// Shapes: x `[T, F, M]` with M = C or 1, of which the first `rows` count; weight `[9, C]`, bias `[C]`.
pub fn conv_down_row(
    x: &[f32],
    [rows, f_in, channels]: [usize; 3],
    relu: bool,
    weight: &[f32],
    bias: &[f32],
    t_out: usize,
    y: &mut [f32],
) {
    let c_out = bias.len();
    for f in 0..f_in.div_ceil(2) {
        for (c, &bias) in bias.iter().enumerate() {
            let mut sum = f64::from(bias);
            for i in 0..3 {
                for j in 0..3 {
                    let (t, f) = (2 * t_out + i, 2 * f + j);
                    // Padding is before row 0 and column 0.
                    if (1..=rows).contains(&t) && (1..=f_in).contains(&f) {
                        let at = ((t - 1) * f_in + f - 1) * channels + if channels == 1 { 0 } else { c };
                        let x = if relu { x[at].max(0.0) } else { x[at] };
                        sum += f64::from(weight[(3 * i + j) * c_out + c]) * f64::from(x);
                    }
                }
            }
            y[f * c_out + c] = sum as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn conv_down_pads_masks_and_halves() {
        // One channel of ones: a sum over the neighbours that are there.
        let x = [1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let mut y = [0.0; 2];
        super::conv_down_row(&x, [3, 3, 1], false, &[1.0; 9], &[0.5], 0, &mut y);
        assert_eq!(y, [1.0 - 2.0 + 4.0 + 5.0 + 0.5, -2.0 + 3.0 + 5.0 + 6.0 + 0.5]);
        super::conv_down_row(&x, [2, 3, 1], true, &[1.0; 9], &[0.0], 1, &mut y);
        assert_eq!(y, [4.0 + 5.0, 5.0 + 6.0]);
    }
}
