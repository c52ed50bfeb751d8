//! The erf form of GELU from a table of erf and the first terms of its Taylor series between the entries.

use std::sync::LazyLock;

use crate::kernel::gelu::erfc;

/// Entries a unit; |d| ≤ 1/64.
const STEPS: usize = 32;
/// Beyond, erf is ±1 within 2e-17.
const END: usize = 6;

/// (erf(a), 2/√π e^(−a²)) at a = i / STEPS.
static TABLE: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    (0..=END * STEPS)
        .map(|i| {
            let a = i as f64 / STEPS as f64;
            (1.0 - erfc(a), 2.0 / std::f64::consts::PI.sqrt() * (-a * a).exp())
        })
        .collect()
});

/// `y = 0.5 x (1 + erf(x / √2))`, erf within 1e-9.
pub fn gelu_erf(x: &[f32], y: &mut [f32]) {
    let table = &**TABLE;
    for (y, &x) in y.iter_mut().zip(x) {
        let z = f64::from(x) * std::f64::consts::FRAC_1_SQRT_2;
        let erf = erf_of_magnitude(table, z.abs()).copysign(z);
        *y = (0.5 * f64::from(x) * (1.0 + erf)) as f32;
    }
}

/// erf(a + d) = erf(a) + e'(a) (d − a d² + (2a² − 1) d³/3 − (2a³ − 3a) d⁴/6 + …); the rest is below 1e-9.
fn erf_of_magnitude(table: &[(f64, f64)], z: f64) -> f64 {
    let i = (z * STEPS as f64 + 0.5) as usize;
    let Some(&(erf, slope)) = table.get(i) else {
        return 1.0;
    };
    let a = i as f64 / STEPS as f64;
    let d = z - a;
    let third = (2.0 * a * a - 1.0) / 3.0;
    let fourth = (2.0 * a * a - 3.0) * a / 6.0;
    erf + slope * d * (1.0 - d * (a - d * (third - d * fourth)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_from_the_table_is_within_1e_9() {
        for i in 0..70_000 {
            let z = f64::from(i) * 1e-4;
            let error = (erf_of_magnitude(&TABLE, z) - (1.0 - erfc(z))).abs();
            assert!(error < 1e-9, "erf({z}): {error:e}");
        }
        let mut y = [0.0; 4];
        gelu_erf(&[30.0, -30.0, f32::NAN, f32::NEG_INFINITY], &mut y);
        assert_eq!(y[..2], [30.0, -0.0]);
    }
}
