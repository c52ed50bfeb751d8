//! `stt.parakeet`: sound becomes words, utterance by utterance.

use std::sync::Arc;
use std::time::Duration;

use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Audio, Body, Finish, FrameRef, PacketKind, Speech, Spoken, Text, Word};
use pipeline::registry::{BuildContext, CheckContext, Factory, Need, Registry};
use pipeline::time::Timestamp;
use serde::Deserialize;

use super::mel::RATE_HZ;
use super::recognise::{Ear, Heard, Utterance};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::sound::resample::Resample;

/// The keys of `stt.parakeet`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParakeetConfig {
    /// After so much more sound, what was heard so far is told: 600. 0: only when an utterance has ended, or who feeds the stage asks.
    pub partial_ms: u32,
    /// Silence that is heard before and after each utterance, in whole frames of the model: 400. Recordings are cut close to the first
    /// and the last word, which is where models are least sure. Times do not count it.
    pub silence_ms: u32,
}

impl Default for ParakeetConfig {
    fn default() -> Self {
        Self {
            partial_ms: 600,
            silence_ms: 400,
        }
    }
}

/// Hears. The blocks that follow each other are an utterance; a [`Speech`], or the end of the input, ends it. Of each come texts that
/// are not finished and replace each other, each with all that was heard so far, and then one that is finished, also where nothing
/// was heard. The finished text does not depend on how the sound was cut. A restart loses the utterance under way.
pub struct Parakeet {
    config: ParakeetConfig,
    ear: Ear,
}

impl Parakeet {
    pub fn new(config: ParakeetConfig, ear: Ear) -> Self {
        let ear = ear.with_silence(config.silence_ms);
        Self { config, ear }
    }
}

/// An utterance under way.
struct Open {
    utterance: Utterance,
    resample: Option<Resample>,
    rate_hz: u32,
    turn: u64,
    start: Timestamp,
    about: Option<FrameRef>,
    /// Samples that came, at their own rate.
    n_samples: u64,
    /// Of these, samples of which it was told what was heard.
    n_told: u64,
    told: String,
}

impl Stage for Parakeet {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut open: Option<Open> = None;
        let mut last = ctx.stamp();
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            last = stamp;
            // What an older turn left is forgotten with it.
            open = open.filter(|open| open.turn == stamp.turn);
            match packet.body {
                Body::Audio(audio) => {
                    let is_asked = audio.samples.is_empty();
                    if is_asked && open.is_none() {
                        continue;
                    }
                    let now = open.get_or_insert_with(|| Open::new(&self.ear, stamp, &audio));
                    now.push(audio.rate_hz, &audio.samples).await?;
                    if is_asked || now.is_due(self.config.partial_ms) {
                        now.tell(&ctx, stamp, is_asked).await?;
                    }
                }
                Body::Speech(end) => {
                    let now = open.take();
                    let ended = self.end(now, end, stamp).await?;
                    ctx.send(Body::Text(ended), stamp).await?;
                }
                _ => {}
            }
        }
        if let Some(open) = open {
            let text = open.finish().await?;
            ctx.send(Body::Text(text), last).await?;
        }
        Ok(())
    }
}

impl Parakeet {
    /// The text of an utterance that `end` ends.
    async fn end(&self, open: Option<Open>, end: Speech, stamp: Stamp) -> Result<Text> {
        let Speech {
            rate_hz,
            samples,
            kept,
            about,
        } = end;
        if !kept {
            return Ok(Text {
                about: about.or(open.and_then(|open| open.about)),
                finished: Some(Finish::Cancelled),
                ..Text::default()
            });
        }
        let mut open = open.unwrap_or_else(|| {
            let audio = Audio {
                rate_hz,
                about,
                ..Audio::default()
            };
            let length = duration(samples.len() as u64, rate_hz);
            let start = Timestamp(stamp.pts.0.saturating_sub(length));
            Open::new(&self.ear, Stamp { pts: start, ..stamp }, &audio)
        });
        open.push(rate_hz, &samples).await?;
        open.finish().await
    }
}

impl Open {
    fn new(ear: &Ear, stamp: Stamp, first: &Audio) -> Self {
        Self {
            utterance: ear.utterance(),
            resample: None,
            rate_hz: first.rate_hz,
            turn: stamp.turn,
            start: stamp.pts,
            about: first.about.clone(),
            n_samples: 0,
            n_told: 0,
            told: String::new(),
        }
    }

    /// Errors: [`Error::RateOfSound`]; those of the engine.
    async fn push(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let failed = |message| Error::RateOfSound { message };
        if rate_hz != self.rate_hz {
            return Err(failed(format!(
                "changes from {} to {rate_hz} Hz within an utterance",
                self.rate_hz
            )));
        }
        self.n_samples += samples.len() as u64;
        if rate_hz == RATE_HZ {
            self.utterance.push(samples).await?;
            return Ok(());
        }
        let resample = match &mut self.resample {
            Some(resample) => resample,
            none => none.insert(Resample::new(rate_hz, RATE_HZ).map_err(failed)?),
        };
        let samples = resample.push(samples);
        self.utterance.push(&samples).await?;
        Ok(())
    }

    fn is_due(&self, partial_ms: u32) -> bool {
        let new = (self.n_samples - self.n_told) * 1000;
        partial_ms > 0 && new >= u64::from(partial_ms) * u64::from(self.rate_hz)
    }

    /// Tells what was heard so far, if that is something else than last time or `is_asked`.
    async fn tell(&mut self, ctx: &Context, stamp: Stamp, is_asked: bool) -> Result<(), StageError> {
        self.n_told = self.n_samples;
        let heard = self.utterance.so_far().await?;
        if !is_asked && heard.text == self.told {
            return Ok(());
        }
        let text = self.text(heard, None);
        ctx.send(Body::Text(text), stamp).await?;
        Ok(())
    }

    async fn finish(mut self) -> Result<Text> {
        if let Some(resample) = self.resample.take() {
            self.utterance.push(&resample.finish()).await?;
        }
        let heard = self.utterance.finish().await?;
        Ok(self.text(heard, Some(Finish::Stop)))
    }

    fn text(&mut self, heard: Heard, finished: Option<Finish>) -> Text {
        let Heard { text, words, n_settled } = heard;
        let delta = text.strip_prefix(self.told.as_str()).unwrap_or_default().to_owned();
        self.told.clone_from(&text);
        let length = duration(self.n_samples, self.rate_hz);
        let words = words.into_iter().map(|word| Word {
            text: word.text,
            start: word.start,
            end: word.end,
            confidence: word.confidence,
        });
        Text {
            delta,
            text,
            about: self.about.clone(),
            thought: false,
            finished,
            spoken: Some(Spoken {
                start: self.start,
                end: Timestamp(self.start.0.saturating_add(length)),
                words: words.collect(),
                n_settled,
            }),
        }
    }
}

fn duration(n_samples: u64, rate_hz: u32) -> Duration {
    let nanos = u128::from(n_samples) * 1_000_000_000 / u128::from(rate_hz.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: ParakeetConfig, context: &BuildContext<'_>| Ok(Parakeet::new(config, env.ear(context)?));
    let check = |config: &ParakeetConfig, _: &CheckContext<'_>| {
        let partial = match config.partial_ms {
            0 | 100..=60_000 => None,
            other => Some(("partial_ms", other, "milliseconds, from 100 to 60000, or 0")),
        };
        let silence = match config.silence_ms {
            0..=2000 => None,
            other => Some(("silence_ms", other, "milliseconds, at most 2000")),
        };
        let faults = [partial, silence].into_iter().flatten();
        faults
            .map(|(key, is, wanted)| Fault::new(key, format!("is {is}"), wanted))
            .collect()
    };
    let factory = Factory::new(build)
        .input("sound", &[PacketKind::Audio, PacketKind::Speech])
        .gives(&[PacketKind::Text])
        .model(Need::Required)
        .engine(Need::Required)
        .check(check);
    registry.add("stt.parakeet", factory);
}
