//! What a room makes of the program's own voice on its way back to the microphone.

/// An echo.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    pub delay_s: f64,
    /// The reverberation falls by 60 dB in this time.
    pub rt60_s: f64,
    pub level_db: f32,
    /// How much faster the microphone's clock is than the speaker's.
    pub drift_ppm: f64,
}

impl Echo {
    /// `sound`, at `from_hz`, as it is heard at `to_hz`, as long as it is.
    pub fn of(&self, sound: &[f32], from_hz: u32, to_hz: u32) -> Vec<f32> {
        let (from, to) = (f64::from(from_hz), f64::from(to_hz));
        let n = (sound.len() as f64 / from * to) as usize;
        let at = |place: f64| {
            let (whole, part) = (place.floor(), place.fract() as f32);
            let sample = |at: f64| match at >= 0.0 {
                true => sound.get(at as usize).copied().unwrap_or(0.0),
                false => 0.0,
            };
            sample(whole) * (1.0 - part) + sample(whole + 1.0) * part
        };
        let dry = (0..n).map(|index| at((index as f64 / to * (1.0 + self.drift_ppm * 1e-6) - self.delay_s) * from));
        let dry: Vec<f32> = dry.collect();
        let mut wet = vec![0.0; n];
        for (back, gain) in self.taps(to).into_iter().filter(|(back, _)| *back < n) {
            wet[back..].iter_mut().zip(&dry).for_each(|(wet, dry)| *wet += gain * dry);
        }
        wet
    }

    /// The direct sound and sparse reflections, as many a second as a small room's are in the mean; of the echo's power half each.
    fn taps(&self, rate_hz: f64) -> Vec<(usize, f32)> {
        let n = (self.rt60_s * rate_hz) as usize;
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 40) as f32 / (1u64 << 24) as f32
        };
        let mut taps = Vec::new();
        let mut at = 0;
        loop {
            at += 1 + (random() * 48.0) as usize;
            if at >= n {
                break;
            }
            let sign = if random() < 0.5 { -1.0 } else { 1.0 };
            taps.push((at, sign * 10f32.powf(-3.0 * at as f32 / n as f32)));
        }
        let power = taps.iter().map(|(_, gain)| gain * gain).sum::<f32>().sqrt();
        taps.push((0, power));
        let scale = 10f32.powf(self.level_db / 20.0) / (power * std::f32::consts::SQRT_2);
        taps.into_iter().map(|(at, gain)| (at, gain * scale)).collect()
    }
}
