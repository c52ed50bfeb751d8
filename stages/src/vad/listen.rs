//! `vad.silero`: of what a microphone hears only speech goes on, with the sound before it, and when it began and ended. What
//! the speaker plays comes back over `played`, so that the program does not hear itself.

use std::sync::Arc;

use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Audio, Body, Event, FrameRef, PacketKind, Speech};
use pipeline::registry::{Factory, Registry};
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;

use super::echo::EchoOptions;
use super::hear::{Hearing, Told};
use super::segment::SegmentOptions;
use super::silero::RATE_HZ;
use crate::error::Error;

/// The keys of `vad.silero`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SileroConfig {
    /// From this probability on it may be speech: 0.5.
    pub threshold: f32,
    /// Speech goes on down to this probability: 0.35.
    pub end_threshold: f32,
    /// So much of it and speech has begun: 96.
    pub start_ms: u32,
    /// So much silence and what was heard so far is asked for: 128.
    pub pause_ms: u32,
    /// So much silence and the utterance has ended: 256. When the speaker's turn has ended is for `turn.detect` to say.
    pub end_ms: u32,
    /// An utterance with less speech was none: 128.
    pub min_speech_ms: u32,
    /// Sound before speech began that goes with it: 300.
    pub pre_roll_ms: u32,
    /// Tell the program's own voice from others, by what is played: on.
    pub echo_check: bool,
    /// What is heard and what is played run alike from this correlation on: 0.78.
    pub echo_alike: f32,
    /// So much louder than its echo, and it is another voice: 7.
    pub echo_louder_db: f32,
}

impl Default for SileroConfig {
    fn default() -> Self {
        let segments = SegmentOptions::default();
        let echo = EchoOptions::default();
        Self {
            threshold: segments.start_threshold,
            end_threshold: segments.end_threshold,
            start_ms: segments.start_ms,
            pause_ms: segments.pause_ms,
            end_ms: segments.end_ms,
            min_speech_ms: segments.min_speech_ms,
            pre_roll_ms: 300,
            echo_check: true,
            echo_alike: echo.alike,
            echo_louder_db: echo.louder_db,
        }
    }
}

impl SileroConfig {
    fn segments(&self) -> SegmentOptions {
        SegmentOptions {
            start_threshold: self.threshold,
            end_threshold: self.end_threshold,
            start_ms: self.start_ms,
            pause_ms: self.pause_ms,
            end_ms: self.end_ms,
            min_speech_ms: self.min_speech_ms,
        }
    }

    fn echo(&self) -> Option<EchoOptions> {
        self.echo_check.then(|| EchoOptions {
            alike: self.echo_alike,
            louder_db: self.echo_louder_db,
            ..EchoOptions::default()
        })
    }

    fn faults(&self) -> Vec<Fault> {
        let ranges = [
            ("threshold", self.threshold, 0.01..=0.99),
            ("end_threshold", self.end_threshold, 0.0..=self.threshold),
            ("start_ms", self.start_ms as f32, 0.0..=2000.0),
            ("end_ms", self.end_ms as f32, 32.0..=10_000.0),
            ("pause_ms", self.pause_ms as f32, 32.0..=self.end_ms as f32),
            ("min_speech_ms", self.min_speech_ms as f32, 0.0..=2000.0),
            ("pre_roll_ms", self.pre_roll_ms as f32, 0.0..=5000.0),
            ("echo_alike", self.echo_alike, 0.1..=1.0),
            ("echo_louder_db", self.echo_louder_db, 1.0..=40.0),
        ];
        let outside = ranges.into_iter().filter(|(_, value, range)| !range.contains(value));
        let fault = |(key, value, range): (&str, f32, std::ops::RangeInclusive<f32>)| {
            Fault::new(
                key,
                format!("is {value}"),
                format!("a number from {} to {}", range.start(), range.end()),
            )
        };
        outside.map(fault).collect()
    }
}

/// Listens. A restart forgets the utterance under way and begins anew with the next block.
pub struct VadSilero {
    config: SileroConfig,
}

impl Stage for VadSilero {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut hearing = Hearing::new(self.config.segments(), self.config.pre_roll_ms, self.config.echo())?;
        let mut about = None;
        while let Some(packet) = ctx.recv().await {
            match packet.body {
                Body::Played(played) => hearing.plays(&played),
                Body::Audio(audio) => {
                    if audio.rate_hz != RATE_HZ {
                        let message = format!("takes sound at {RATE_HZ} Hz, not at {}", audio.rate_hz);
                        return Err(Error::Vad { message }.into());
                    }
                    about = audio.about;
                    let told = hearing.hears(packet.pts, &audio.samples)?;
                    tell(&ctx, told, about.as_ref()).await?;
                }
                _ => {}
            }
        }
        tell(&ctx, hearing.finish(), about.as_ref()).await
    }
}

async fn tell(ctx: &Context, told: Vec<Told>, about: Option<&FrameRef>) -> Result<(), StageError> {
    let samples_from = |pts, samples: Vec<f32>| {
        let audio = Audio {
            rate_hz: RATE_HZ,
            samples: samples.into(),
            about: about.cloned(),
            ..Audio::default()
        };
        (pts, Body::Audio(audio))
    };
    for told in told {
        match told {
            Told::Began(at) => send(ctx, (at, Body::Event(Event::Voice { on: true }))).await?,
            Told::Samples(at, samples) => send(ctx, samples_from(at, samples)).await?,
            Told::Paused(at) => send(ctx, samples_from(at, Vec::new())).await?,
            Told::Ended { at, kept } => {
                let speech = Speech {
                    rate_hz: RATE_HZ,
                    samples: Arc::new([]),
                    kept,
                    about: about.cloned(),
                };
                send(ctx, (at, Body::Event(Event::Voice { on: false }))).await?;
                send(ctx, (at, Body::Speech(speech))).await?;
            }
        }
    }
    Ok(())
}

async fn send(ctx: &Context, (pts, body): (Timestamp, Body)) -> Result<(), StageError> {
    let turn = Turn::ALWAYS;
    Ok(ctx.send(body, Stamp { pts, turn }).await?)
}

pub(super) fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: SileroConfig, _: &_| Ok(VadSilero { config }))
        .input("audio", &[PacketKind::Audio])
        .optional_input("played", &[PacketKind::Played])
        .gives(&[PacketKind::Audio, PacketKind::Speech, PacketKind::Event])
        .check(|config, _| config.faults());
    registry.add("vad.silero", factory);
}
