//! Whether what a microphone hears is only what the program itself is playing. No actor, no sound: powers in bands of both, in
//! frames of 16 ms (`bands`), go in; a verdict comes out.
//!
//! What is played, each band's power smeared as a room does it, is held against what is heard:
//!
//! - While both run alike (correlation of the logarithms over 24 frames, for every delay up to half a second), the one is an
//!   echo of the other, and shows the delay and how loud the echo is in each band.
//! - What is heard louder than the echo can be, in several bands at once, is foreign.
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
    /// Logarithm of the echo's level against the reference, once known.
    gain: Option<Bands>,
    /// Frames in a row in which something was played and nobody spoke.
    n_quiet: usize,
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
            gain: None,
            n_quiet: 0,
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
            self.n_quiet = 0;
            return Verdict::Silent;
        }
        let alike = self
            .best_delay(index)
            .filter(|(correlation, _)| *correlation > self.options.alike);
        if let Some((_, delay)) = alike {
            self.delay = Some(delay);
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
            // Nothing is known yet, and what is played explains what is heard better than anything else.
            None => Verdict::Own,
            Some(gain) => self.judge(index, &log, &gain, alike.is_some()),
        }
    }

    /// Whether something was played lately enough to be heard in frame `index`.
    fn sounded(&self, index: u64) -> bool {
        (0..MAX_DELAY).any(|delay| self.reference_at(index, delay).is_some_and(|frame| frame.sounds))
    }

    /// What was played `delay` frames before frame `index`.
    fn reference_at(&self, index: u64, delay: usize) -> Option<&Reference> {
        let first = self.next_reference - self.reference.len() as u64;
        let at = index.checked_sub(delay as u64)?.checked_sub(first)?;
        self.reference.get(usize::try_from(at).ok()?)
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
        let heard: Vec<&Bands> = self.heard.iter().collect();
        let heard = centred(&heard);
        let norm = |rows: &[Bands]| rows.iter().flatten().map(|x| x * x).sum::<f32>().sqrt();
        let heard_norm = norm(&heard);
        let mut best: Option<(f32, usize)> = None;
        for delay in 0..MAX_DELAY {
            let rows = (0..SPAN)
                .rev()
                .map(|back| self.reference_at(index, delay + back).map(|frame| &frame.log));
            let Some(rows) = rows.collect::<Option<Vec<_>>>() else {
                continue;
            };
            let played = centred(&rows);
            let product: f32 = heard.iter().flatten().zip(played.iter().flatten()).map(|(a, b)| a * b).sum();
            let correlation = product / (heard_norm * norm(&played) + GUARD);
            if best.is_none_or(|(most, _)| correlation > most) {
                best = Some((correlation, delay));
            }
        }
        best
    }

    fn judge(&self, index: u64, log: &Bands, gain: &Bands, is_alike: bool) -> Verdict {
        let delay = self.delay.unwrap_or(0);
        let slack = if self.delay.is_some() { SLACK } else { MAX_DELAY };
        let louder = self.options.louder_db / 10.0 * std::f32::consts::LN_10;
        let near = delay.saturating_sub(slack)..=delay + slack;
        let rows: Vec<&Bands> = near
            .filter_map(|delay| self.reference_at(index, delay).map(|frame| &frame.log))
            .collect();
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
fn centred(rows: &[&Bands]) -> Vec<Bands> {
    let mut mean = [0.0; N_BANDS];
    for row in rows {
        for (mean, x) in mean.iter_mut().zip(row.iter()) {
            *mean += x / rows.len() as f32;
        }
    }
    let less = |row: &&Bands| std::array::from_fn(|band| row[band] - mean[band]);
    rows.iter().map(less).collect()
}
