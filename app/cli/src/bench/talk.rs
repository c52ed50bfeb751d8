//! `qwglm bench talk`: what the user of a conversation waits for, from the end of their speech to the first sound of the answer. Each
//! part is done as the stages of `talk.toml` do it, one after the other: the end of an utterance is heard, the answer begun, its first
//! clause spoken. Models of the engine have random weights, so the words that are spoken are always the same ones.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gpu::model::parakeet::published;
use gpu::protocol::speech::{SpeechInfo, SpeechOptions, TranscribeRequest};
use gpu::protocol::{EncodeRequest, FeatureHandle, GenerateEvent, GenerateRequest, GpuHandle, LoadOptions, ModelInfo, Quant};
use gpu::sampler::Sampling;
use pipeline::spawn::blocking;
use serde::Serialize;
use stages::tts::speaker::{SpeakOptions, Speaker};
use stages::turn::detect::DetectConfig;
use stages::vad::segment::SegmentOptions;

use super::args::BenchTalkArgs;
use super::machine::Machine;
use super::median;
use super::model::start;
use super::observed::Seen;
use super::shape::Shape;
use crate::failure::usage;
use crate::setup;

/// What is said in an answer's first part, up to the mark that lets it be spoken.
const FIRST_PART: &str = "The build has failed with two errors, ";
/// Tokens of that part, and one by which its end is known.
const FIRST_TOKENS: usize = 9;
/// Tokens of a question.
const QUESTION: usize = 16;
/// Of sound that a speaker takes at once: up to this long a sample waits for its block.
const BLOCK: Duration = Duration::from_millis(20);
/// Mel frames (10 ms) a second, and those that one frame of the encoder takes.
const MEL_A_SECOND: usize = 100;
const SUBSAMPLING: usize = 8;
/// The same weights each time.
const SEED: u64 = 1;

/// Everything, in milliseconds; medians of `runs`.
#[derive(Debug, Serialize)]
pub struct Measured {
    #[serde(rename = "type")]
    kind: &'static str,
    bench: &'static str,
    #[serde(flatten)]
    machine: Machine,
    shape: String,
    quant: &'static str,
    ears: String,
    runs: u32,
    /// Of the utterance, in seconds; tokens of the conversation before it.
    utterance_s: u32,
    context: u32,
    /// From words to the first sample: what `qwglm say` takes until it sounds, the voice being loaded.
    first_audio_ms: f64,
    first_audio_ms_runs: Vec<f64>,
    /// How many times as fast as it sounds.
    voice_times_real_time: f64,
    questions: Vec<Question>,
}

/// A kind of question.
#[derive(Debug, Serialize)]
struct Question {
    about: String,
    /// Silence until speech has ended, as `vad.silero` has it.
    silence_ms: f64,
    hear_ms: f64,
    /// What is left of the silence after which a question is whole.
    endpoint_ms: f64,
    first_token_ms: f64,
    first_part_ms: f64,
    voice_ms: f64,
    block_ms: f64,
    /// From the last sample of the question to the first of the answer: of each run the sum of its parts.
    whole_ms: f64,
    whole_ms_runs: Vec<f64>,
}

/// Runs everything.
///
/// Errors: those of the engine; a shape that there is not; no voice.
pub async fn measure(args: &BenchTalkArgs) -> Result<Measured> {
    let shape = Shape::find(&args.shape).await?;
    let handle = start(&args.shape, args.engine, &Seen::default()).await?;
    let ended = handle.ended();
    let measured = measure_on(handle, args, &shape).await;
    // A driver that is at work must not be left behind.
    ended.wait().await;
    measured
}

async fn measure_on(handle: GpuHandle, args: &BenchTalkArgs, shape: &Shape) -> Result<Measured> {
    let ears = match args.ears.as_str() {
        "none" => None,
        name => {
            let known = || usage(format!("--ears {name}: {} or none", published::NAMES.join(", ")));
            let json = published::config_json(name).ok_or_else(known)?;
            let options = SpeechOptions {
                quant: Quant::DenseF16,
                ..SpeechOptions::default()
            };
            let weights = Arc::new(published::random(name, json, SEED)?);
            Some(handle.load_speech(weights, options, None).await?)
        }
    };
    let n_picture = args.images.0.iter().map(|(width, height)| width * height / 1024).max();
    let options = LoadOptions {
        quant: shape.quant,
        context_tokens: 2 * (args.context as usize + QUESTION + n_picture.unwrap_or(0)) + 1024,
        ..LoadOptions::default()
    };
    let info = handle.load(shape.weights()?, options, None).await?;
    let voice = blocking(|| setup::voices().load("joe", Path::new("")).and_then(Speaker::new)).await?;
    let adapter = handle.stats().await?.adapter;
    let bench = Bench {
        handle,
        shape,
        ears,
        info,
        voice: Arc::new(voice),
        args,
    };
    // The first of each is slower.
    bench.speak().await?;
    let (mut first, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..args.shape.runs {
        let (took, sounds) = bench.speak().await?;
        first.push(ms(took));
        rates.push(sounds.as_secs_f64() / took.as_secs_f64().max(1e-9));
    }
    let mut questions = vec![bench.question(None).await?];
    for &size in &args.images.0 {
        questions.push(bench.question(Some(size)).await?);
    }
    Ok(Measured {
        kind: "bench",
        bench: "talk",
        machine: Machine::new(&adapter),
        shape: shape.name.clone(),
        quant: shape.quant_name(),
        ears: args.ears.clone(),
        runs: args.shape.runs,
        utterance_s: args.utterance,
        context: args.context,
        first_audio_ms: median(&first),
        first_audio_ms_runs: first,
        voice_times_real_time: median(&rates),
        questions,
    })
}

struct Bench<'a> {
    handle: GpuHandle,
    shape: &'a Shape,
    ears: Option<SpeechInfo>,
    info: ModelInfo,
    voice: Arc<Speaker>,
    args: &'a BenchTalkArgs,
}

/// The times of one turn.
struct Turn {
    hear: Duration,
    first_token: Duration,
    /// From the first token to the last of the part that is spoken first.
    first_part: Duration,
    voice: Duration,
}

impl Bench<'_> {
    async fn question(&self, picture: Option<(usize, usize)>) -> Result<Question> {
        let mut turns = Vec::new();
        // The first two find the conversation not yet in the cache, and compile what is new.
        for run in 0..self.args.shape.runs + 2 {
            turns.push(self.turn(run, picture).await?);
        }
        let turns = &turns[2..];
        let silence = Duration::from_millis(SegmentOptions::default().end_ms.into());
        let question = Duration::from_millis(DetectConfig::default().question_ms.into());
        let endpoint = |turn: &Turn| question.saturating_sub(silence + turn.hear);
        let of = |part: &dyn Fn(&Turn) -> Duration| median(&turns.iter().map(|turn| ms(part(turn))).collect::<Vec<_>>());
        let whole = |turn: &Turn| silence + turn.hear + endpoint(turn) + turn.first_token + turn.first_part + turn.voice + BLOCK;
        Ok(Question {
            about: picture.map_or("nothing seen".to_owned(), |(width, height)| format!("{width}x{height}")),
            silence_ms: ms(silence),
            hear_ms: of(&|turn| turn.hear),
            endpoint_ms: of(&endpoint),
            first_token_ms: of(&|turn| turn.first_token),
            first_part_ms: of(&|turn| turn.first_part),
            voice_ms: of(&|turn| turn.voice),
            block_ms: ms(BLOCK),
            whole_ms: of(&whole),
            whole_ms_runs: turns.iter().map(|turn| ms(whole(turn))).collect(),
        })
    }

    async fn turn(&self, run: u32, picture: Option<(usize, usize)>) -> Result<Turn> {
        // Another each time, so that none of it is in the cache; and before the question, as the newest always is.
        let features = match picture {
            Some(size) => Some(self.picture(size, run).await?),
            None => None,
        };
        let hear = self.hear().await?;
        let mut tokens = self.shape.prompt(self.args.context as usize, 1).to_vec();
        let mut media = Vec::new();
        if let Some(features) = features {
            let [_, rows, columns] = features.grid_thw;
            media.push((tokens.len(), features));
            let merged = (self.info.merge_size * self.info.merge_size).max(1);
            let n_pads = (rows * columns) as usize / merged;
            tokens.extend(std::iter::repeat_n(self.info.image_token_id, n_pads));
        }
        // Each question is another, so none of it is in the cache.
        tokens.extend(self.shape.prompt(QUESTION, 1000 + run).iter());
        let started = Instant::now();
        let request = GenerateRequest {
            model: self.info.id,
            sequence: None,
            tokens: tokens.into(),
            media,
            sampling: Sampling::default(),
            max_new_tokens: FIRST_TOKENS as u32,
            // No id is this one: random weights must not end an answer early.
            stop_ids: vec![u32::MAX],
            thinking: None,
        };
        let events = self.handle.generate(request).await?;
        let (mut first, mut n) = (None, 0);
        while n < FIRST_TOKENS {
            match events.recv().await.context("the engine's actor has ended")?? {
                GenerateEvent::Prefill { .. } => {}
                GenerateEvent::Tokens { ids, .. } => {
                    first.get_or_insert(started.elapsed());
                    n += ids.len();
                }
                GenerateEvent::Finished { .. } => bail!("an answer ended after {n} tokens"),
            }
        }
        let answered = started.elapsed();
        let first_token = first.context("an answer had no token")?;
        let (voice, _) = self.speak().await?;
        // The answer goes on in a conversation; here the next turn must find the engine idle.
        while events.recv().await.is_ok() {}
        Ok(Turn {
            hear,
            first_token,
            first_part: answered.saturating_sub(first_token),
            voice,
        })
    }

    /// What the end of an utterance takes to be heard; nothing where nothing hears.
    async fn hear(&self) -> Result<Duration> {
        let Some(ears) = &self.ears else {
            return Ok(Duration::ZERO);
        };
        let n_mel = (self.args.utterance as usize * MEL_A_SECOND).min(ears.max_mel);
        let value = |i: usize| ((i * 7919) % 2003) as f32 / 1001.5 - 1.0;
        let request = TranscribeRequest {
            model: ears.id,
            features: (0..n_mel * ears.n_mels).map(value).collect(),
            first: 0,
            end: n_mel.div_ceil(SUBSAMPLING) as u32,
            after: None,
        };
        let started = Instant::now();
        self.handle.transcribe(request).await?;
        Ok(started.elapsed())
    }

    async fn picture(&self, (width, height): (usize, usize), salt: u32) -> Result<FeatureHandle> {
        let request = EncodeRequest {
            model: self.info.id,
            frames: (0..3 * width * height).map(|i| (i * 7 + salt as usize) as u8).collect(),
            n_frames: 1,
            height,
            width,
        };
        Ok(self.handle.encode(request).await?)
    }

    /// From the words of the first part to its samples; how long they sound.
    async fn speak(&self) -> Result<(Duration, Duration)> {
        let speaker = self.voice.clone();
        let started = Instant::now();
        let spoken = blocking(move || {
            let units = speaker.units(FIRST_PART);
            let first = units.first().cloned().unwrap_or_default();
            speaker.speak(&first, 0, &SpeakOptions::default())
        });
        let samples = spoken.await?.samples.len();
        let rate_hz = self.voice.voice.config.audio.rate_hz;
        let sounds = Duration::from_secs_f64(samples as f64 / f64::from(rate_hz));
        Ok((started.elapsed(), sounds))
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Measured {
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    pub fn table(&self) -> String {
        let mut text = format!(
            "{}\n{}, quant {}; heard by {}, {} s an utterance; {} tokens before it; medians of {}\n\n\
             first sound of a text: {:.0} ms ({:.1} times real time)\n\nmilliseconds from the end of speech to the first sound\n",
            self.machine.line(),
            self.shape,
            self.quant,
            self.ears,
            self.utterance_s,
            self.context,
            self.runs,
            self.first_audio_ms,
            self.voice_times_real_time,
        );
        let heads = [
            "silence",
            "hear",
            "endpoint",
            "first token",
            "first part",
            "voice",
            "block",
            "whole",
        ];
        let _ = write!(text, "{:<14}", "question about");
        for head in heads {
            let _ = write!(text, "{head:>12}");
        }
        text.push('\n');
        for q in &self.questions {
            let _ = write!(text, "{:<14}", q.about);
            for part in [
                q.silence_ms,
                q.hear_ms,
                q.endpoint_ms,
                q.first_token_ms,
                q.first_part_ms,
                q.voice_ms,
                q.block_ms,
                q.whole_ms,
            ] {
                let _ = write!(text, "{part:>12.1}");
            }
            text.push('\n');
        }
        text
    }
}
