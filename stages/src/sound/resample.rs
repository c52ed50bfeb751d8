//! From one rate to another by the crate `rubato`: what comes out is the same however the sound is cut, has no delay, and is
//! as long as the sound.

use pipeline::packet::Audio;
use rubato::audioadapter_buffers::direct::SequentialSliceOfSlices;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

use crate::error::{Error, Result};

/// Samples that go into the transform at once, about.
const CHUNK: usize = 1024;

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A unit of speech at another rate. Each is resampled by itself: it begins and ends in silence.
///
/// Errors: [`Error::RateOfSound`].
pub fn at_rate(audio: Audio, rate_hz: u32) -> Result<Audio> {
    if audio.rate_hz == rate_hz {
        return Ok(audio);
    }
    let failed = |message| Error::RateOfSound { message };
    let mut resample = Resample::new(audio.rate_hz, rate_hz).map_err(failed)?;
    let mut samples = resample.push(&audio.samples);
    samples.extend(resample.finish());
    Ok(Audio {
        rate_hz,
        samples: samples.into(),
        ..audio
    })
}

/// A sound on its way.
pub struct Resample {
    fft: Option<Fft<f32>>,
    /// Samples that fill no chunk yet.
    waiting: Vec<f32>,
    /// Samples at the start that the transform's delay has put there.
    to_drop: usize,
    n_in: u64,
    n_out: u64,
    from_hz: u64,
    to_hz: u64,
}

impl Resample {
    /// Errors: a sentence about rates that cannot be brought together.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, String> {
        let fft = match from_hz == to_hz {
            true => None,
            false => {
                // The filter's middle is a whole sample only if the chunk is even, in whole periods of both rates.
                let period = 2 * (from_hz / gcd(from_hz, to_hz)).max(1) as usize;
                let chunk = CHUNK.next_multiple_of(period);
                let window = WindowFunction::BlackmanHarris2;
                let fft = Fft::new_custom(from_hz as usize, to_hz as usize, chunk, 1, 1, window, FixedSync::Input);
                Some(fft.map_err(|error| format!("cannot be brought from {from_hz} to {to_hz} Hz: {error}"))?)
            }
        };
        Ok(Self {
            to_drop: fft.as_ref().map_or(0, Resampler::output_delay),
            fft,
            waiting: Vec::new(),
            n_in: 0,
            n_out: 0,
            from_hz: from_hz.into(),
            to_hz: to_hz.into(),
        })
    }

    /// What is whole with these samples.
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.n_in += samples.len() as u64;
        if self.fft.is_none() {
            self.n_out += samples.len() as u64;
            return samples.to_vec();
        }
        self.waiting.extend_from_slice(samples);
        self.chunks()
    }

    /// The rest.
    pub fn finish(mut self) -> Vec<f32> {
        let due = (self.n_in * self.to_hz).div_ceil(self.from_hz.max(1));
        let mut out = Vec::new();
        while let Some(fft) = self.fft.as_ref().filter(|_| self.n_out < due) {
            let chunk = fft.input_frames_next();
            self.waiting.resize(self.waiting.len().max(1).next_multiple_of(chunk), 0.0);
            let before = self.waiting.len();
            out.extend(self.chunks());
            if self.waiting.len() == before {
                break;
            }
        }
        let surplus = self.n_out.saturating_sub(due) as usize;
        out.truncate(out.len().saturating_sub(surplus));
        out
    }

    fn chunks(&mut self) -> Vec<f32> {
        let Some(fft) = &mut self.fft else {
            return Vec::new();
        };
        let (mut out, mut at) = (Vec::new(), 0);
        loop {
            let n = fft.input_frames_next();
            let Some(chunk) = self.waiting.get(at..at + n) else {
                break;
            };
            // The buffers are as long as the plan says, which is all that it can complain of.
            let channels = [chunk];
            let Ok(input) = SequentialSliceOfSlices::new(&channels[..], 1, n) else {
                break;
            };
            let Ok(made) = fft.process(&input, None::<&Indexing>) else {
                break;
            };
            let made = made.take_data();
            let dropped = self.to_drop.min(made.len());
            self.to_drop -= dropped;
            out.extend_from_slice(&made[dropped..]);
            at += n;
        }
        self.waiting.drain(..at);
        self.n_out += out.len() as u64;
        out
    }
}
