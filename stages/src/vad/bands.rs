//! How loud a sound is in bands of pitch, every 16 ms of the run's time: what two sounds can be compared by, whatever their rates.

use std::sync::Arc;

use pipeline::time::Timestamp;
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// Bands, evenly spaced on the mel scale between these.
pub const N_BANDS: usize = 24;
const LOWEST_HZ: f64 = 150.0;
const HIGHEST_HZ: f64 = 6500.0;
/// From a frame to the next, and how long one is.
pub const HOP_S: f64 = 0.016;
const WINDOW_S: f64 = 0.032;

/// Power in each band.
pub type Bands = [f32; N_BANDS];

/// A sound on its way to frames. Frame `i` begins at `i · 16 ms` of the run's time.
pub struct BandMeter {
    rate_hz: u32,
    window: Vec<f32>,
    /// The band of each bin.
    band_of: Vec<Option<usize>>,
    scale: f32,
    fft: Arc<dyn RealToComplex<f32>>,
    input: Vec<f32>,
    scratch: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    samples: Vec<f32>,
    /// The sample, counted from the run's start, that `samples` begins with. `None` before the first.
    start: Option<u64>,
    next_frame: u64,
}

impl BandMeter {
    /// `rate_hz`: at least 8000.
    pub fn new(rate_hz: u32) -> Self {
        let rate = f64::from(rate_hz);
        let n = 2 * (WINDOW_S * rate / 2.0).round().max(1.0) as usize;
        let window: Vec<f32> = (0..n)
            .map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos()) as f32)
            .collect();
        let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let (low, high) = (mel(LOWEST_HZ), mel(HIGHEST_HZ));
        let band_of = |bin: usize| {
            let place = (mel(bin as f64 * rate / n as f64) - low) / (high - low);
            (0.0..1.0).contains(&place).then_some((place * N_BANDS as f64) as usize)
        };
        let fft = RealFftPlanner::new().plan_fft_forward(n);
        let power: f32 = window.iter().map(|w| w * w).sum();
        Self {
            rate_hz,
            band_of: (0..=n / 2).map(band_of).collect(),
            scale: 1.0 / (power * n as f32),
            input: fft.make_input_vec(),
            scratch: fft.make_scratch_vec(),
            spectrum: fft.make_output_vec(),
            fft,
            window,
            samples: Vec::new(),
            start: None,
            next_frame: 0,
        }
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The number of the next frame that comes out.
    pub fn next_frame(&self) -> u64 {
        self.next_frame
    }

    /// Adds samples (−1 … 1), the first of them at `time`, and calls `take` with each frame that is whole with them. What is
    /// missing before them is silence; what was there already is passed over; a slip of under half a frame is none.
    pub fn push(&mut self, time: Timestamp, samples: &[f32], mut take: impl FnMut(u64, &Bands)) {
        let rate = f64::from(self.rate_hz);
        let at = (time.as_secs_f64() * rate).round() as u64;
        let mut samples = samples;
        match self.start {
            None => self.begin(at),
            Some(start) => {
                let end = start + self.samples.len() as u64;
                let slip = (HOP_S / 2.0 * rate) as u64;
                if at + slip < end {
                    let known = usize::try_from(end - at).unwrap_or(usize::MAX).min(samples.len());
                    samples = &samples[known..];
                } else if at > end + 16 * self.window.len() as u64 {
                    // A long silence: frames of it say nothing.
                    self.begin(at);
                } else if at > end + slip {
                    self.samples.resize(self.samples.len() + (at - end) as usize, 0.0);
                }
            }
        }
        self.samples.extend_from_slice(samples);
        while let Some(bands) = self.frame() {
            take(self.next_frame, &bands);
            self.next_frame += 1;
        }
    }

    fn begin(&mut self, at: u64) {
        self.samples.clear();
        self.start = Some(at);
        self.next_frame = (at as f64 / (HOP_S * f64::from(self.rate_hz))).ceil() as u64;
    }

    fn frame(&mut self) -> Option<Bands> {
        let start = self.start?;
        let first = (self.next_frame as f64 * HOP_S * f64::from(self.rate_hz)).round() as u64;
        let offset = usize::try_from(first.checked_sub(start)?).ok()?;
        let samples = self.samples.get(offset..offset + self.window.len())?;
        for ((x, sample), w) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *x = sample * w;
        }
        // The buffers are the plan's own, so it has nothing to complain of.
        let _ = self
            .fft
            .process_with_scratch(&mut self.input, &mut self.spectrum, &mut self.scratch);
        let mut bands = [0.0; N_BANDS];
        for (bin, band) in self.spectrum.iter().zip(&self.band_of) {
            if let Some(band) = band {
                bands[*band] += bin.norm_sqr() * self.scale;
            }
        }
        self.samples.drain(..offset);
        self.start = Some(first);
        Some(bands)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tone(rate_hz: u32, hz: f64, seconds: f64) -> Vec<f32> {
        let n = (f64::from(rate_hz) * seconds) as usize;
        let phase = |i: usize| std::f64::consts::TAU * hz * i as f64 / f64::from(rate_hz);
        (0..n).map(|i| 0.5 * phase(i).sin() as f32).collect()
    }

    fn frames(meter: &mut BandMeter, ms: u64, samples: &[f32]) -> Vec<(u64, Bands)> {
        let mut frames = Vec::new();
        meter.push(Timestamp(Duration::from_millis(ms)), samples, |index, bands| {
            frames.push((index, *bands))
        });
        frames
    }

    #[test]
    fn a_tone_is_as_loud_at_every_rate() {
        for rate_hz in [8000, 16_000, 22_050, 48_000] {
            let found = frames(&mut BandMeter::new(rate_hz), 0, &tone(rate_hz, 1000.0, 0.5));
            let (_, bands) = found[found.len() / 2];
            let total: f32 = bands.iter().sum();
            // A tone of amplitude 0.5 has power 1/8, half of it at positive frequencies.
            assert!((total - 0.0625).abs() < 0.002, "{rate_hz}: {total}");
        }
    }

    #[test]
    fn frames_stand_on_the_runs_time_however_the_sound_is_cut() {
        let samples = tone(22_050, 700.0, 0.4);
        let whole = frames(&mut BandMeter::new(22_050), 1003, &samples);
        assert_eq!(whole.first().map(|frame| frame.0), Some(63), "1008 ms");
        let mut meter = BandMeter::new(22_050);
        let mut cut = Vec::new();
        for (index, block) in samples.chunks(441).enumerate() {
            cut.extend(frames(&mut meter, 1003 + 20 * index as u64, block));
            // What comes twice counts once.
            cut.extend(frames(&mut meter, 1003 + 20 * index as u64, block));
        }
        assert_eq!(cut, whole);
    }

    #[test]
    fn a_gap_is_silence_and_a_long_one_has_no_frames() {
        let mut meter = BandMeter::new(16_000);
        let samples = tone(16_000, 700.0, 0.064);
        assert_eq!(frames(&mut meter, 0, &samples).len(), 3);
        let after = frames(&mut meter, 160, &samples);
        assert_eq!(after.last().map(|frame| frame.0), Some(12));
        assert!(after.iter().any(|(_, bands)| bands.iter().sum::<f32>() < 1e-9), "{after:?}");
        let much_later = frames(&mut meter, 60_000, &samples);
        assert_eq!(much_later.first().map(|frame| frame.0), Some(3750));
    }
}
