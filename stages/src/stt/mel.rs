//! Log-mel features as Parakeet was trained on, in f32. No model and no file: samples in, rows of numbers out.
//! Source: parakeet-tdt.md §3 of the reference; NeMo `features.py`.

use std::sync::Arc;

use gpu::model::parakeet::FrontEnd;
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// Samples a second.
pub const RATE_HZ: u32 = 16_000;
/// Samples from a frame to the next.
pub const HOP: usize = 160;
const N_FFT: usize = 512;
const WINDOW: usize = 400;
const N_BINS: usize = N_FFT / 2 + 1;
const PREEMPHASIS: f32 = 0.97;
/// Added before the logarithm: 2^-24.
const LOG_GUARD: f32 = 5.960_464_5e-8;
/// Added to the deviation.
const STD_GUARD: f64 = 1e-5;
/// Samples of a frame before its centre, less the padding of the window: frame t needs samples from 160 t − 200 on.
const REACH: usize = WINDOW / 2;

/// The window, the mel filters and the transform; made once.
pub struct Mel {
    n_mels: usize,
    window: Vec<f32>,
    /// Of each filter the first bin that counts, and the weights from there.
    filters: Vec<(usize, Vec<f32>)>,
    fft: Arc<dyn RealToComplex<f32>>,
}

/// A signal on its way: what comes out is the same however it is cut. Frames are as many as hops are whole.
#[derive(Clone)]
pub struct LogMel {
    mel: Arc<Mel>,
    /// Samples after pre-emphasis, from `start` on.
    signal: Vec<f32>,
    /// The sample that `signal` begins with; negative are the zeros before the first.
    start: i64,
    last_sample: Option<f32>,
    n_samples: u64,
    next_frame: u64,
    scratch: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    frame: Vec<f32>,
}

impl Mel {
    /// With the checkpoint's window and filters, or those that it was made with.
    pub fn new(n_mels: usize, front_end: &FrontEnd) -> Self {
        let window = front_end.window.clone().filter(|window| window.len() == WINDOW);
        let filters = front_end.filters.clone().filter(|filters| filters.len() == n_mels * N_BINS);
        let filters = filters.unwrap_or_else(|| slaney_filters(n_mels));
        Self {
            n_mels,
            window: window.unwrap_or_else(hann),
            filters: filters.chunks_exact(N_BINS).map(sparse).collect(),
            fft: RealFftPlanner::new().plan_fft_forward(N_FFT),
        }
    }

    pub fn n_mels(&self) -> usize {
        self.n_mels
    }

    /// Normalised features of a whole signal, `[n / 160, n_mels]`.
    pub fn features(self: &Arc<Self>, samples: &[f32]) -> Vec<f32> {
        let mut log_mel = LogMel::new(self.clone());
        let mut rows = log_mel.push(samples);
        rows.extend(log_mel.finish());
        normalise(&mut rows, self.n_mels);
        rows
    }
}

impl LogMel {
    pub fn new(mel: Arc<Mel>) -> Self {
        Self {
            scratch: mel.fft.make_scratch_vec(),
            spectrum: mel.fft.make_output_vec(),
            frame: mel.fft.make_input_vec(),
            mel,
            signal: vec![0.0; REACH],
            start: -(REACH as i64),
            last_sample: None,
            n_samples: 0,
            next_frame: 0,
        }
    }

    /// Frames that are whole with these samples (−1 … 1), `[…, n_mels]`.
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.signal.reserve(samples.len());
        for &sample in samples {
            self.signal.push(emphasised(sample, self.last_sample));
            self.last_sample = Some(sample);
            self.n_samples += 1;
        }
        let reached = self.n_samples.checked_sub(REACH as u64);
        self.frames(reached.map_or(0, |samples| samples / HOP as u64 + 1))
    }

    /// The last frames, for which the signal is followed by zeros.
    pub fn finish(&mut self) -> Vec<f32> {
        self.signal.resize(self.signal.len() + REACH, 0.0);
        self.frames(self.n_samples / HOP as u64)
    }

    /// Every frame that touches the signal and one more, as the transform itself gives them; for tests.
    pub fn finish_all(&mut self) -> Vec<f32> {
        self.signal.resize(self.signal.len() + REACH, 0.0);
        self.frames(self.n_samples / HOP as u64 + 1)
    }

    /// Frames before `end` that were not given yet.
    fn frames(&mut self, end: u64) -> Vec<f32> {
        let mut rows = Vec::new();
        while self.next_frame < end {
            let first = (self.next_frame * HOP as u64) as i64 - REACH as i64;
            let at = (first - self.start) as usize;
            self.row(at, &mut rows);
            self.next_frame += 1;
        }
        // What no later frame reads.
        let first = (self.next_frame * HOP as u64) as i64 - REACH as i64;
        let unused = ((first - self.start).max(0) as usize).min(self.signal.len());
        self.signal.drain(..unused);
        self.start += unused as i64;
        rows
    }

    fn row(&mut self, at: usize, rows: &mut Vec<f32>) {
        let margin = (N_FFT - WINDOW) / 2;
        self.frame.fill(0.0);
        let samples = &self.signal[at..at + WINDOW];
        for ((slot, &sample), &weight) in self.frame[margin..].iter_mut().zip(samples).zip(&self.mel.window) {
            *slot = sample * weight;
        }
        // The lengths are the plan's own, which is all that it can complain of.
        let _ = self
            .mel
            .fft
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        for (first, weights) in &self.mel.filters {
            let power = self.spectrum[*first..].iter().map(|x| x.re * x.re + x.im * x.im);
            let sum: f32 = power.zip(weights).map(|(power, weight)| power * weight).sum();
            rows.push((sum + LOG_GUARD).ln());
        }
    }
}

/// A sample after pre-emphasis; the first has none before it.
pub fn emphasised(sample: f32, before: Option<f32>) -> f32 {
    before.map_or(sample, |before| sample - PREEMPHASIS * before)
}

/// Each of the features over all rows to mean 0 and deviation 1 (over N − 1); a single row gives zeros.
pub fn normalise(rows: &mut [f32], n_mels: usize) {
    let n_rows = rows.len() / n_mels.max(1);
    for i in 0..n_mels {
        let values = || rows[i..].iter().step_by(n_mels).map(|&value| f64::from(value));
        let mean = values().sum::<f64>() / n_rows.max(1) as f64;
        let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / n_rows.saturating_sub(1).max(1) as f64).sqrt() + STD_GUARD;
        for value in rows[i..].iter_mut().step_by(n_mels) {
            *value = ((f64::from(*value) - mean) / deviation) as f32;
        }
    }
}

/// The symmetric window.
pub fn hann() -> Vec<f32> {
    let angle = |n: usize| 2.0 * std::f64::consts::PI * n as f64 / (WINDOW - 1) as f64;
    (0..WINDOW).map(|n| (0.5 - 0.5 * angle(n).cos()) as f32).collect()
}

/// Triangles of equal area on Slaney's scale, `[n_mels, 257]`.
/// Source: parakeet-tdt.md §3.4; M. Slaney, Auditory Toolbox, 1998.
pub fn slaney_filters(n_mels: usize) -> Vec<f32> {
    let step = 6.4f64.ln() / 27.0;
    let mel_from_hz = |hz: f64| match hz < 1000.0 {
        true => 3.0 * hz / 200.0,
        false => 15.0 + (hz / 1000.0).ln() / step,
    };
    let hz_from_mel = |mel: f64| match mel < 15.0 {
        true => 200.0 * mel / 3.0,
        false => 1000.0 * ((mel - 15.0) * step).exp(),
    };
    let top = mel_from_hz(f64::from(RATE_HZ) / 2.0);
    let point = |i: usize| hz_from_mel(top * i as f64 / (n_mels + 1) as f64);
    let mut filters = Vec::with_capacity(n_mels * N_BINS);
    for i in 0..n_mels {
        let (low, middle, high) = (point(i), point(i + 1), point(i + 2));
        for bin in 0..N_BINS {
            let hz = f64::from(RATE_HZ) * bin as f64 / N_FFT as f64;
            let triangle = ((hz - low) / (middle - low)).min((high - hz) / (high - middle)).max(0.0);
            filters.push((triangle * 2.0 / (high - low)) as f32);
        }
    }
    filters
}

fn sparse(filter: &[f32]) -> (usize, Vec<f32>) {
    let first = filter.iter().position(|&weight| weight != 0.0).unwrap_or(0);
    let end = filter
        .iter()
        .rposition(|&weight| weight != 0.0)
        .map_or(first, |last| last + 1);
    (first, filter[first..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mel() -> Arc<Mel> {
        Arc::new(Mel::new(128, &FrontEnd::default()))
    }

    fn noise(n: usize) -> Vec<f32> {
        let mut word = 1u32;
        let mut next = || {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (word >> 8) as f32 / 16_777_216.0 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn frames_are_the_same_however_the_signal_is_cut() {
        for n in [0, 1, 159, 160, 199, 200, 360, 5000, 20_480] {
            let samples = noise(n);
            let mut whole = LogMel::new(mel());
            let mut expected = whole.push(&samples);
            expected.extend(whole.finish());
            assert_eq!(expected.len(), n / 160 * 128, "{n}");
            for size in [1, 37, 320, 4096] {
                let mut log_mel = LogMel::new(mel());
                let mut rows: Vec<f32> = samples.chunks(size).flat_map(|piece| log_mel.push(piece)).collect();
                rows.extend(log_mel.finish());
                assert_eq!(rows, expected, "{n} by {size}");
            }
        }
    }

    #[test]
    fn a_tone_is_loudest_in_its_filter() {
        let samples: Vec<f32> = (0..16_000)
            .map(|n| (2.0 * std::f32::consts::PI * 1000.0 * n as f32 / 16_000.0).sin())
            .collect();
        let mut log_mel = LogMel::new(mel());
        let rows = log_mel.push(&samples);
        let row = &rows[50 * 128..51 * 128];
        let loudest = (0..128).max_by(|&i, &j| row[i].total_cmp(&row[j]));
        // 1000 Hz is mel 15 of 45.2; filter i is centred at 45.2 (i + 1) / 129.
        assert_eq!(loudest, Some(42));
    }

    #[test]
    fn silence_and_a_single_frame_stay_finite() {
        for n in [160, 161, 16_000] {
            let features = mel().features(&vec![0.0; n]);
            assert_eq!(features.len(), n / 160 * 128);
            assert!(features.iter().all(|&value| value == 0.0), "{n}");
        }
        assert!(mel().features(&noise(160)).iter().all(|&value| value == 0.0));
    }
}
