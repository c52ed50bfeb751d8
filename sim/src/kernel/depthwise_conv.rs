//! Twin of `depthwise_conv`.

/// Row `t` of `y[t, d] = bias[d] + Σ_i weight[i, d] · x[t + i − K/2, d]`, of whose x `[T, D]` the first `rows` count.
pub fn depthwise_conv_row(x: &[f32], rows: usize, weight: &[f32], bias: &[f32], t: usize, y: &mut [f32]) {
    let width = bias.len();
    let n_taps = weight.len() / width.max(1);
    for (d, (y, &bias)) in y.iter_mut().zip(bias).enumerate() {
        let mut sum = f64::from(bias);
        for i in 0..n_taps {
            if let Some(row) = (t + i).checked_sub(n_taps / 2).filter(|&row| row < rows) {
                sum += f64::from(weight[i * width + d]) * f64::from(x[row * width + d]);
            }
        }
        *y = sum as f32;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn depthwise_conv_reaches_both_ways_and_stops_at_the_end() {
        let (x, weight) = ([1.0, 2.0, 3.0, 4.0], [100.0, 10.0, 1.0]);
        let rows: Vec<f32> = (0..4)
            .map(|t| {
                let mut y = [0.0];
                super::depthwise_conv_row(&x, 3, &weight, &[0.5], t, &mut y);
                y[0]
            })
            .collect();
        assert_eq!(rows, [12.5, 123.5, 230.5, 300.5]);
    }
}
