//! Normal numbers from a seed, the same on every machine.

/// A generator (SplitMix64 and Box–Muller).
pub struct Normal {
    state: u64,
    spare: Option<f32>,
}

impl Normal {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            spare: None,
        }
    }

    /// `n` numbers of mean 0 and deviation 1.
    pub fn take(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.one()).collect()
    }

    fn one(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        #[expect(clippy::cast_possible_truncation, reason = "noise needs no more digits")]
        let [first, second] = [radius * cos, radius * sin].map(|x| x as f32);
        self.spare = Some(second);
        first
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_numbers_and_they_are_normal() {
        let numbers = Normal::new(7).take(100_001);
        assert_eq!(numbers[..5], Normal::new(7).take(5));
        assert_ne!(numbers[..5], Normal::new(8).take(5));
        let n = numbers.len() as f64;
        let moment = |power: i32| numbers.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / n;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.02 && (moment(4) - 3.0).abs() < 0.1);
        assert!(numbers.iter().all(|x| x.is_finite()));
    }
}
