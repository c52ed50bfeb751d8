//! Whether what a microphone hears is only what the program itself is playing. No actor, no sound: powers in bands of both, in
//! frames of 16 ms (`bands`), go in; a verdict comes out.
//!
//! What is played, each band's power smeared as a room does it, is held against what is heard:
//!
//! - While both run alike (correlation of the logarithms over 24 frames, for every delay up to half a second), the one is an
//!   echo of the other, and shows the delay and how loud the echo is in each band.
//! - What is heard louder than the echo can be, in several bands at once, is foreign. Before levels are known, speech is that runs
//!   like nothing that is played.
//!
//! Delays and levels go on being learned, so a clock that drifts and a speaker that is turned up are followed.

use std::collections::VecDeque;

use super::bands::{Bands, HOP_S, N_BANDS};

/// How the check decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EchoOptions {
    /// Both sounds run alike from this correlation on.
    pub alike: f32,
    /// A band is foreign when it is so much louder than the echo.
    pub louder_db: f32,
    /// A frame is foreign when so many of its 24 bands are.
    pub n_bands: usize,
    /// How fast the room's sound decays by 60 dB.
    pub decay_s: f32,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self {
            alike: 0.78,
            louder_db: 7.0,
            n_bands: 5,
            decay_s: 0.4,
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was played that could be heard now.
    Silent,
    /// What is heard may be what is played.
    Own,
    /// There is more than that.
    Foreign,
}

/// Frames that are compared.
const SPAN: usize = 24;
/// Longest delay, in frames: half a second.
const MAX_DELAY: usize = 32;
/// The reference may be so many frames off the delay that was found.
const SLACK: usize = 2;
/// After so many frames a delay is believed.
const STABLE: usize = 8;
/// What is played may be told of so many frames late.
const LATE: usize = 6;
/// Frames of the reference that are kept.
const KEPT: usize = SPAN + MAX_DELAY + 64;
/// A reference below this power in all bands together is silence: −60 dB.
const SILENCE: f32 = 1e-6;
/// Below this power a band is never foreign: −65 dB.
const FLOOR: f32 = 3e-7;
/// Keeps logarithms finite.
const GUARD: f32 = 1e-9;
/// How fast the estimate of a steady noise rises: 1 dB in 1.2 s.
const NOISE_RISE: f32 = 1.003;
const NOISE_MARGIN: f32 = 4.0;
/// Speech that runs no more like what is played than this is not its echo: echoes have 0.7 and more as soon as they are heard,
/// other voices under 0.6 within some 0.1 s to 0.5 s.
const UNLIKE: f32 = 0.6;
/// So many frames of it, and it is believed.
const N_UNLIKE: usize = 6;
/// How fast levels are learned.
const RATE: f32 = 0.05;

/// Knows what is played.
pub struct EchoCheck {
    options: EchoOptions,
    /// How much of a frame is left in the next one.
    decay: f32,
    /// Logarithms of the smeared powers of what is played, by frame; the last is that before `next_reference`.
    reference: VecDeque<Reference>,
    next_reference: u64,
    smeared: Bands,
    /// Logarithms of what was heard, the newest last.
    heard: VecDeque<Bands>,
    noise: Bands,
    delay: Option<usize>,
    /// Another delay, and in how many frames in a row both were alike at it.
    candidate: (usize, usize),
    /// Logarithm of the echo's level against the reference, once known.
    gain: Option<Bands>,
    /// Frames in a row in which something was played and nobody spoke.
    n_quiet: usize,
    /// Frames of speech that ran unlike what was played, since both last ran alike.
    n_unlike: usize,
}

struct Reference {
    log: Bands,
    sounds: bool,
}

impl EchoCheck {
    pub fn new(options: EchoOptions) -> Self {
        let decay = 10f32.powf(-6.0 * HOP_S as f32 / options.decay_s.max(0.01));
        Self {
            options,
            decay,
            reference: VecDeque::new(),
            next_reference: 0,
            smeared: [0.0; N_BANDS],
            heard: VecDeque::new(),
            noise: [1.0; N_BANDS],
            delay: None,
            candidate: (0, 0),
            gain: None,
            n_quiet: 0,
            n_unlike: 0,
        }
    }

    /// How much later than it was given to the speaker the echo is heard, in seconds, once that is known.
    pub fn delay_s(&self) -> Option<f64> {
        self.delay.map(|frames| frames as f64 * HOP_S)
    }

    /// Frame `index` of what is played; what is between it and the one before was silence.
    pub fn plays(&mut self, index: u64, bands: &Bands) {
        if index < self.next_reference {
            return;
        }
        let missing = index - self.next_reference;
        for _ in 0..missing.min(KEPT as u64) {
            self.reference_frame(&[0.0; N_BANDS]);
        }
        self.next_reference = index;
        self.reference_frame(bands);
    }

    fn reference_frame(&mut self, bands: &Bands) {
        let mut log = [0.0; N_BANDS];
        for ((smeared, power), log) in self.smeared.iter_mut().zip(bands).zip(&mut log) {
            *smeared = *smeared * self.decay + power;
            *log = (*smeared + 100.0 * GUARD).ln();
        }
        let sounds = self.smeared.iter().sum::<f32>() > SILENCE;
        self.reference.push_back(Reference { log, sounds });
        if self.reference.len() > KEPT {
            self.reference.pop_front();
        }
        self.next_reference += 1;
    }

    /// Frame `index` of what is heard; frames come in order. `speech`: whether it sounds like somebody speaking.
    pub fn hears(&mut self, index: u64, bands: &Bands, speech: bool) -> Verdict {
        let log = bands.map(|power| (power + GUARD).ln());
        for (noise, power) in self.noise.iter_mut().zip(bands) {
            *noise = (*noise * NOISE_RISE).min(power.max(GUARD));
        }
        self.heard.push_back(log);
        if self.heard.len() > SPAN {
            self.heard.pop_front();
        }
        if !self.sounded(index) {
            (self.n_quiet, self.n_unlike) = (0, 0);
            return Verdict::Silent;
        }
        let best = self.best_delay(index);
        let alike = best.filter(|(correlation, _)| *correlation > self.options.alike);
        if alike.is_some() {
            self.n_unlike = 0;
        } else if speech && self.has_all_delays(index) && best.is_some_and(|(correlation, _)| correlation < UNLIKE) {
            self.n_unlike += 1;
        }
        let is_echo = alike.is_some_and(|(_, delay)| self.is_at(delay));
        if let Some(delay) = self.delay.filter(|_| is_echo) {
            self.learn(index, delay, RATE);
        } else if !speech {
            // There is no echo that could be taken for speech: how quiet it is at most is known too.
            self.n_quiet += 1;
            if self.gain.is_none() && self.n_quiet >= SPAN + MAX_DELAY {
                self.learn(index, self.delay.unwrap_or(0), 1.0);
            }
        }
        if speech {
            self.n_quiet = 0;
        }
        match self.gain {
            None if self.n_unlike >= N_UNLIKE => Verdict::Foreign,
            // Nothing is known yet, and what is played explains what is heard better than anything else.
            None => Verdict::Own,
            Some(gain) => self.judge(index, &log, &gain, is_echo),
        }
    }

    /// Whether something was played lately enough to be heard in frame `index`.
    fn sounded(&self, index: u64) -> bool {
        (0..MAX_DELAY).any(|delay| self.reference_at(index, delay).is_some_and(|frame| frame.sounds))
    }

    /// What was played `delay` frames before frame `index`.
    fn reference_at(&self, index: u64, delay: usize) -> Option<&Reference> {
        self.reference.get(self.place_of(index, delay)?)
    }

    /// The same as a logarithm. After the last frame that is known the room goes on sounding.
    fn log_at(&self, index: u64, delay: usize) -> Option<Bands> {
        if let Some(frame) = self.reference_at(index, delay) {
            return Some(frame.log);
        }
        let last = self.reference.back()?;
        let n_after = index.checked_sub(delay as u64)?.checked_sub(self.next_reference)? + 1;
        let (quiet, decay) = ((100.0 * GUARD).ln(), self.decay.ln());
        (n_after < KEPT as u64).then(|| last.log.map(|log| (log + n_after as f32 * decay).max(quiet)))
    }

    fn place_of(&self, index: u64, delay: usize) -> Option<usize> {
        let first = self.next_reference - self.reference.len() as u64;
        let at = index.checked_sub(delay as u64)?.checked_sub(first)?;
        usize::try_from(at).ok().filter(|at| *at < self.reference.len())
    }

    /// Whether enough is known of what was played before frame `index` for every delay to be looked at.
    fn has_all_delays(&self, index: u64) -> bool {
        self.place_of(index, MAX_DELAY - 1).is_some_and(|newest| newest + 1 >= SPAN)
    }

    /// Whether `delay` is the one that is known, about. One at which both go on being alike becomes that: noise is like
    /// the end of what was played too, but at a delay that grows.
    fn is_at(&mut self, delay: usize) -> bool {
        let (other, n) = self.candidate;
        self.candidate = match other.abs_diff(delay) <= 1 {
            true => (other, n + 1),
            false => (delay, 1),
        };
        if self.candidate.1 >= STABLE {
            self.delay = Some(self.candidate.0);
        }
        self.delay.is_some_and(|known| known.abs_diff(delay) <= SLACK)
    }

    fn learn(&mut self, index: u64, delay: usize, rate: f32) {
        let Some(newest) = self.heard.back() else { return };
        let Some(reference) = self.reference_at(index, delay) else {
            return;
        };
        let level: Bands = std::array::from_fn(|band| newest[band] - reference.log[band]);
        match &mut self.gain {
            Some(gain) => (0..N_BANDS).for_each(|band| gain[band] += rate * (level[band] - gain[band])),
            None => {
                // The mean over the frames that were alike.
                let mut gain = [0.0; N_BANDS];
                let mut n = 0.0;
                for (back, heard) in self.heard.iter().rev().enumerate() {
                    let Some(reference) = self.reference_at(index, delay + back) else {
                        continue;
                    };
                    (0..N_BANDS).for_each(|band| gain[band] += heard[band] - reference.log[band]);
                    n += 1.0;
                }
                self.gain = (n > 0.0).then(|| gain.map(|sum| sum / n));
            }
        }
    }

    /// The delay at which both run most alike, and how much so; `None` before enough was heard.
    fn best_delay(&self, index: u64) -> Option<(f32, usize)> {
        if self.heard.len() < SPAN {
            return None;
        }
        // After the end of what is played only longer delays than the right one could be looked at.
        self.place_of(index, LATE)?;
        let heard = centred(&self.heard);
        let heard_norm = heard.iter().flatten().map(|x| x * x).sum::<f32>().sqrt();
        let delays = (0..MAX_DELAY).filter_map(|delay| {
            let newest = self.place_of(index, delay)?;
            let played = self.reference.range((newest + 1).checked_sub(SPAN)?..=newest);
            Some((correlation(&heard, heard_norm, played.map(|frame| &frame.log)), delay))
        });
        delays.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn judge(&self, index: u64, log: &Bands, gain: &Bands, is_alike: bool) -> Verdict {
        let delay = self.delay.unwrap_or(0);
        let slack = if self.delay.is_some() { SLACK } else { MAX_DELAY };
        let louder = self.options.louder_db / 10.0 * std::f32::consts::LN_10;
        let near = delay.saturating_sub(slack)..=delay + slack;
        let rows: Vec<Bands> = near.filter_map(|delay| self.log_at(index, delay)).collect();
        let is_foreign = |band: &usize| {
            let band = *band;
            let played = rows.iter().map(|row| row[band]).fold(f32::NEG_INFINITY, f32::max);
            let echo = (played + gain[band]).exp();
            let expected = echo + FLOOR.max(NOISE_MARGIN * self.noise[band]);
            log[band] > expected.ln() + louder
        };
        let n_foreign = (0..N_BANDS).filter(is_foreign).count();
        // A speaker that was turned up is louder than known, and still runs alike.
        let needed = if is_alike {
            2 * self.options.n_bands
        } else {
            self.options.n_bands
        };
        if n_foreign >= needed { Verdict::Foreign } else { Verdict::Own }
    }
}

/// Each band less its mean over the rows.
fn centred(rows: &VecDeque<Bands>) -> Vec<Bands> {
    let mut mean = [0.0; N_BANDS];
    for row in rows {
        for (mean, x) in mean.iter_mut().zip(row) {
            *mean += x / rows.len() as f32;
        }
    }
    let less = |row: &Bands| std::array::from_fn(|band| row[band] - mean[band]);
    rows.iter().map(less).collect()
}

/// Of rows that are centred, and have that norm, with as many that are not.
fn correlation<'a>(centred: &[Bands], norm: f32, rows: impl Iterator<Item = &'a Bands>) -> f32 {
    let (mut products, mut squares, mut sums) = ([0.0; N_BANDS], [0.0; N_BANDS], [0.0; N_BANDS]);
    for (x, y) in centred.iter().zip(rows) {
        for band in 0..N_BANDS {
            products[band] += x[band] * y[band];
            squares[band] += y[band] * y[band];
            sums[band] += y[band];
        }
    }
    let n = centred.len() as f32;
    let power: f32 = squares.iter().zip(&sums).map(|(square, sum)| square - sum * sum / n).sum();
    products.iter().sum::<f32>() / (norm * power.max(0.0).sqrt() + GUARD)
}
