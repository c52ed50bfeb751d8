//! Sound in, speech out: network, echo check and segments joined, and what has to be sent on. No actor.

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::packet::Played;
use pipeline::time::Timestamp;

use super::bands::{BandMeter, Bands};
use super::echo::{EchoCheck, EchoOptions, Verdict};
use super::segment::{Change, SegmentOptions, Segmenter, WINDOW_MS};
use super::silero::{Listener, RATE_HZ, Silero, WINDOW};
use crate::error::Result;

/// Above this the sound of a window may be a voice; for the echo check.
const MAYBE: f32 = 0.35;

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Somebody began to speak.
    Began(Timestamp),
    /// Samples of the utterance, the first of them at this time.
    Samples(Timestamp, Vec<f32>),
    Paused(Timestamp),
    /// The speech ended then; if not `kept` it was none.
    Ended {
        at: Timestamp,
        kept: bool,
    },
}

/// A microphone that is listened to.
pub struct Hearing {
    listener: Listener,
    segmenter: Segmenter,
    pre_roll: usize,
    echo: Option<Echo>,
    /// The last samples, the first of which is number `first`.
    samples: VecDeque<f32>,
    first: u64,
    /// Samples that came, and windows that were looked at.
    n_samples: u64,
    n_windows: u64,
    /// The time of a sample.
    anchor: (u64, Timestamp),
    /// The first sample of the utterance that was not told yet.
    untold: u64,
}

struct Echo {
    check: EchoCheck,
    microphone: BandMeter,
    /// Its rate is the speaker's.
    speaker: Option<BandMeter>,
    frames: VecDeque<(u64, Bands)>,
    was_own: bool,
}

impl Hearing {
    /// `echo` is `None` where the program's own voice cannot be heard.
    ///
    /// Errors: those of [`Silero::get`].
    pub fn new(segments: SegmentOptions, pre_roll_ms: u32, echo: Option<EchoOptions>) -> Result<Self> {
        let echo = echo.map(|options| Echo {
            check: EchoCheck::new(options),
            microphone: BandMeter::new(RATE_HZ),
            speaker: None,
            frames: VecDeque::new(),
            was_own: false,
        });
        Ok(Self {
            listener: Listener::new(Silero::get()?),
            segmenter: Segmenter::new(segments),
            pre_roll: (pre_roll_ms * (RATE_HZ / 1000)) as usize,
            echo,
            samples: VecDeque::new(),
            first: 0,
            n_samples: 0,
            n_windows: 0,
            anchor: (0, Timestamp::default()),
            untold: 0,
        })
    }

    /// What the speaker plays.
    pub fn plays(&mut self, played: &Played) {
        let Some(echo) = &mut self.echo else { return };
        if played.rate_hz < 8000 {
            return;
        }
        let other = |meter: &BandMeter| meter.rate_hz() != played.rate_hz;
        if echo.speaker.as_ref().is_none_or(other) {
            echo.speaker = Some(BandMeter::new(played.rate_hz));
        }
        let Echo { check, speaker, .. } = echo;
        for (time, samples) in played.signal.iter() {
            if let Some(meter) = speaker.as_mut() {
                meter.push(*time, samples, |index, bands| check.plays(index, bands));
            }
        }
    }

    /// What the microphone hears: samples at 16 kHz, the first of them at `time`.
    ///
    /// Errors: those of the network.
    pub fn hears(&mut self, time: Timestamp, samples: &[f32]) -> Result<Vec<Told>> {
        self.anchor = (self.n_samples, time);
        self.n_samples += samples.len() as u64;
        self.samples.extend(samples);
        if let Some(echo) = &mut self.echo {
            let frames = &mut echo.frames;
            echo.microphone
                .push(time, samples, |index, bands| frames.push_back((index, *bands)));
        }
        let mut told = Vec::new();
        for probability in self.listener.push(samples)? {
            let own = self.echo.as_mut().is_some_and(|echo| echo.is_own(probability));
            self.n_windows += 1;
            let change = self.segmenter.push(probability, own);
            self.tell(change, &mut told);
        }
        self.tell_samples(self.n_samples, &mut told);
        self.forget();
        Ok(told)
    }

    /// The microphone is gone.
    pub fn finish(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        self.tell_samples(self.n_samples, &mut told);
        let change = self.segmenter.finish();
        self.tell(change, &mut told);
        told
    }

    fn tell(&mut self, change: Option<Change>, told: &mut Vec<Told>) {
        let window = WINDOW as u64;
        let now = self.n_windows * window;
        match change {
            None => {}
            Some(Change::Began { first }) => {
                let first = first * window;
                told.push(Told::Began(self.time_of(first)));
                self.untold = first.saturating_sub(self.pre_roll as u64).max(self.untold).max(self.first);
            }
            Some(Change::Paused) => {
                self.tell_samples(now, told);
                told.push(Told::Paused(self.time_of(now)));
            }
            Some(Change::Ended { end, kept }) => {
                self.send(now.min(self.n_samples), told);
                told.push(Told::Ended {
                    at: self.time_of(end * window),
                    kept,
                });
            }
        }
    }

    /// Tells what was not told of the utterance under way, up to sample `end`.
    fn tell_samples(&mut self, end: u64, told: &mut Vec<Told>) {
        if self.segmenter.is_speaking() {
            self.send(end, told);
        }
    }

    fn send(&mut self, end: u64, told: &mut Vec<Told>) {
        let start = usize::try_from(self.untold - self.first).unwrap_or(usize::MAX);
        let n = usize::try_from(end.saturating_sub(self.untold)).unwrap_or(0);
        if n > 0 {
            let samples = self.samples.iter().skip(start).take(n).copied().collect();
            told.push(Told::Samples(self.time_of(self.untold), samples));
            self.untold = end;
        }
    }

    /// What can no longer be a part of an utterance.
    fn forget(&mut self) {
        let kept = match self.segmenter.is_speaking() {
            true => self.untold,
            // Speech may turn out to have begun up to a second ago.
            false => self
                .n_samples
                .saturating_sub(u64::from(RATE_HZ) + self.pre_roll as u64)
                .max(self.first),
        };
        let n = usize::try_from(kept.saturating_sub(self.first)).unwrap_or(0);
        self.samples.drain(..n.min(self.samples.len()));
        self.first = kept.max(self.first);
        if !self.segmenter.is_speaking() {
            self.untold = self.untold.max(self.first);
        }
    }

    fn time_of(&self, sample: u64) -> Timestamp {
        let (at, time) = self.anchor;
        let span = |n: u64| Duration::from_nanos(n.saturating_mul(1_000_000_000) / u64::from(RATE_HZ));
        Timestamp(match sample.checked_sub(at) {
            Some(n) => time.0 + span(n),
            None => time.0.saturating_sub(span(at - sample)),
        })
    }

    /// How much later than it was given to the speaker the own voice is heard, once that is known.
    pub fn echo_delay_s(&self) -> Option<f64> {
        self.echo.as_ref().and_then(|echo| echo.check.delay_s())
    }
}

impl Echo {
    /// Whether a window of 32 ms is only what is being played: of its frames fewer than half are foreign.
    fn is_own(&mut self, probability: f32) -> bool {
        let (mut n, mut n_own, mut n_foreign) = (0, 0, 0);
        for (index, bands) in self.frames.drain(..) {
            match self.check.hears(index, &bands, probability >= MAYBE) {
                Verdict::Silent => {}
                Verdict::Own => n_own += 1,
                Verdict::Foreign => n_foreign += 1,
            }
            n += 1;
        }
        if n > 0 {
            self.was_own = n_own > n_foreign;
        }
        self.was_own
    }
}

const _: () = assert!(WINDOW_MS as usize * RATE_HZ as usize / 1000 == WINDOW, "a window is 32 ms");
