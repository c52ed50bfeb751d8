//! `tts.piper`: words become sound as they come, a clause or a sentence at a time.

use std::sync::Arc;

use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Audio, Body, PacketKind, Word};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::spawn::blocking;
use serde::Deserialize;

use super::speaker::{SpeakOptions, Speaker, Splitter};
use super::written::written_words;
use crate::env::Env;
use crate::error::Error;

/// The keys of `tts.piper`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PiperConfig {
    /// A voice that the program brings, or a file `NAME.onnx` with its JSON beside it: "joe".
    pub voice: String,
    /// The name or number of a speaker of a voice that has several. None: the voice's default.
    pub speaker: Option<String>,
    /// 1; 2 is twice as fast.
    pub speed: f32,
    /// How much the sound varies. None: as the voice's JSON says.
    pub noise_scale: Option<f32>,
    /// How much durations vary. None: as the voice's JSON says.
    pub noise_w: Option<f32>,
    /// The same seed gives the same sound: 0.
    pub seed: u64,
    /// What samples are multiplied by: 1.3.
    pub gain: f32,
    /// Silence after a sentence: 150.
    pub pause_ms: u32,
}

impl Default for PiperConfig {
    fn default() -> Self {
        let options = SpeakOptions::default();
        Self {
            voice: "joe".into(),
            speaker: None,
            speed: options.speed,
            noise_scale: None,
            noise_w: None,
            seed: options.seed,
            gain: options.gain,
            pause_ms: options.pause_ms,
        }
    }
}

impl PiperConfig {
    fn faults(&self, env: &Env) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(Error::NoVoice { accepted, .. }) = env.voices.check(&self.voice, &env.base) {
            faults.push(Fault::new("voice", format!("there is no voice {:?}", self.voice), accepted));
        }
        let mut hold = |key: &'static str, value: f32, range: std::ops::RangeInclusive<f32>| {
            if !range.contains(&value) {
                let accepted = format!("a number from {} to {}", range.start(), range.end());
                faults.push(Fault::new(key, format!("is {value}"), accepted));
            }
        };
        hold("speed", self.speed, 0.25..=4.0);
        hold("gain", self.gain, 0.0..=16.0);
        hold("noise_scale", self.noise_scale.unwrap_or(0.0), 0.0..=2.0);
        hold("noise_w", self.noise_w.unwrap_or(0.0), 0.0..=2.0);
        hold("pause_ms", self.pause_ms as f32, 0.0..=10_000.0);
        faults
    }
}

/// Speaks. A restart begins anew with the next packet.
pub struct Piper {
    config: PiperConfig,
    env: Arc<Env>,
}

impl Piper {
    /// `env` knows the voices.
    pub fn new(config: PiperConfig, env: Arc<Env>) -> Self {
        Self { config, env }
    }
}

/// A text under way.
#[derive(Default)]
struct Answer {
    turn: u64,
    splitter: Splitter,
    n_units: u64,
}

impl Stage for Piper {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let Self { config, env } = self;
        let name = config.voice.clone();
        let loading = blocking(move || env.voices.load(&name, &env.base).and_then(Speaker::new));
        let speaker = Arc::new(loading.await?);
        let options = SpeakOptions {
            speaker: speaker.voice.speaker(config.speaker.as_deref())?,
            speed: config.speed,
            noise_scale: config.noise_scale,
            noise_w: config.noise_w,
            seed: config.seed,
            gain: config.gain,
            pause_ms: config.pause_ms,
        };
        let mut answer = Answer::default();
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Text(text) = packet.body else { continue };
            if text.thought {
                continue;
            }
            if answer.turn != stamp.turn {
                answer = Answer {
                    turn: stamp.turn,
                    ..Answer::default()
                };
            }
            let mut parts = answer.splitter.push(&text.delta);
            if text.finished.is_some() {
                parts.extend(answer.splitter.finish());
            }
            for part in parts {
                speak(&ctx, &speaker, &options, part, &mut answer, stamp).await?;
            }
            if text.finished.is_some() {
                answer = Answer {
                    turn: stamp.turn,
                    ..Answer::default()
                };
            }
        }
        // A text that was broken off is spoken as far as it came.
        if let Some(part) = answer.splitter.finish() {
            let stamp = Stamp {
                pts: ctx.clock().now(),
                turn: answer.turn,
            };
            speak(&ctx, &speaker, &options, part, &mut answer, stamp).await?;
        }
        Ok(())
    }
}

/// One packet of sound for each unit, with the words that end in it; a part without anything to say gives none.
async fn speak(
    ctx: &Context,
    speaker: &Arc<Speaker>,
    options: &SpeakOptions,
    part: String,
    answer: &mut Answer,
    stamp: Stamp,
) -> Result<(), StageError> {
    let rate_hz = speaker.voice.config.audio.rate_hz;
    let units = {
        let speaker = speaker.clone();
        blocking(move || {
            let units = speaker.units(&part);
            let words = written_words(&part, &units);
            units.into_iter().zip(words)
        })
        .await
    };
    for (unit, words) in units {
        let (speaker, options, index) = (speaker.clone(), *options, answer.n_units);
        answer.n_units += 1;
        let spoken = blocking(move || speaker.speak(&unit, index, &options)).await?;
        let words = words.into_iter().filter_map(|word| {
            let times = spoken.words.get(word.spoken)?;
            Some(Word {
                text: word.text,
                start: times.first()?.start,
                end: times.last()?.end,
                confidence: 1.0,
            })
        });
        let audio = Audio {
            rate_hz,
            words: words.collect(),
            samples: spoken.samples.into(),
            ..Audio::default()
        };
        ctx.send(Body::Audio(audio), stamp).await?;
    }
    Ok(())
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let for_check = env.clone();
    let env = env.clone();
    let build = move |config: PiperConfig, _: &BuildContext<'_>| Ok(Piper::new(config, env.clone()));
    let factory = Factory::new(build)
        .input("text", &[PacketKind::Text])
        .gives(&[PacketKind::Audio])
        .check(move |config, _| config.faults(&for_check));
    registry.add("tts.piper", factory);
}
