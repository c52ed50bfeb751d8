//! `configs/talk.toml` as it stands, with files for a microphone and a speaker, in virtual time. What hears is a script (`ears`) or the
//! pocket model; the rest is what a user has: Silero, the pocket model on the simulator in the time that a GPU would take, Piper's joe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use gpu::protocol::LoadOptions;
use gpu::protocol::speech::SpeechOptions;
use gpu::weights::source::{Folder, Source};
use pipeline::error::chain;
use pipeline::graph::Graph;
use pipeline::packet::{Body, Message, Packet, Part, Role};
use pipeline::registry::Registry;
use pipeline::runtime::{Run, RunOptions};
use pipeline::time::Clock;
use pipeline::trace::Trace;
use sim::timing::{Device, bundled};
use sim::{Kernels, SimEngine};
use stages::sink::wav::Wav;
use stages::sound::resample::Resample;
use stages::sound::{Sound, SoundAt};
use stages::tts::speaker::{SpeakOptions, Speaker};
use stages::tts::voice::Voice;
use stages::tts::voices::{VoiceFiles, Voices};
use stages::{Env, Model, ModelText};

use super::ears::Script;

/// Of the microphone.
pub const RATE_HZ: u32 = 16_000;

/// What the configuration has that a test replaces: files in, a file out.
const MICROPHONE: &str = "\"../tests/data/speech/sb_spk1_snt2.flac\"";
const SPEAKER: &str = "\"talk.wav\"";

/// What hears.
pub enum Ears {
    Script(Script),
    /// `pocket-asr`, on the engine of all else.
    Pocket,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What was said to a microphone: recordings at their times, over faint noise.
pub struct Room {
    pub samples: Vec<f32>,
}

/// A recording at an even level, and where in it somebody speaks: the first and last sample that are loud.
pub struct Clip {
    pub samples: Vec<f32>,
    pub speech: (usize, usize),
}

impl Clip {
    /// Of `tests/data/speech`, from one second of it to another.
    pub fn read(name: &str) -> Result<Self> {
        let path = root().join(format!("tests/data/speech/{name}.flac"));
        let mut sound = SoundAt::new(Sound::open(&path)?, RATE_HZ)?;
        let mut samples = Vec::new();
        while let Some(block) = sound.next_block()? {
            samples.extend(block);
        }
        Ok(Self::of(samples))
    }

    fn of(samples: Vec<f32>) -> Self {
        let power = samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32;
        let samples: Vec<f32> = samples.iter().map(|x| x * 0.06 / power.sqrt().max(1e-6)).collect();
        let is_loud = |x: &f32| x.abs() > 0.02;
        let first = samples.iter().position(is_loud).unwrap_or(0);
        let last = samples.iter().rposition(is_loud).unwrap_or(0);
        Self {
            samples,
            speech: (first, last + 1),
        }
    }

    /// A text as somebody says it: the voice of the tree, a little higher.
    pub fn spoken(text: &str) -> Result<Self> {
        const HIGHER_HZ: u32 = 24_000;
        let speaker = Speaker::new(Arc::new(Voice::load("joe", &joe("joe.onnx.zz")?, &joe("joe.onnx.json")?)?))?;
        let options = SpeakOptions {
            seed: 5,
            ..SpeakOptions::default()
        };
        let mut resample = Resample::new(HIGHER_HZ, RATE_HZ).map_err(anyhow::Error::msg)?;
        let mut samples = Vec::new();
        for (index, unit) in speaker.units(text).iter().enumerate() {
            samples.extend(resample.push(&speaker.speak(unit, index as u64, &options)?.samples));
        }
        samples.extend(resample.finish());
        Ok(Self::of(samples))
    }

    /// A part of it, at its level.
    pub fn cut(&self, from_s: f64, to_s: f64) -> Self {
        let at = |seconds: f64| ((seconds * f64::from(RATE_HZ)) as usize).min(self.samples.len());
        Self::of(self.samples[at(from_s)..at(to_s)].to_vec())
    }
}

fn joe(file: &str) -> Result<Vec<u8>> {
    let path = root().join("models/joe").join(file);
    std::fs::read(&path).with_context(|| path.display().to_string())
}

impl Room {
    pub fn silent(seconds: f64) -> Self {
        let n = (seconds * f64::from(RATE_HZ)) as usize;
        let mut seed = 1u64;
        let hiss = (0..n).map(|_| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 1e-4
        });
        Self { samples: hiss.collect() }
    }

    /// Adds a recording whose speech begins at that second.
    pub fn add(&mut self, at_s: f64, clip: &Clip) {
        let start = ((at_s * f64::from(RATE_HZ)) as usize).saturating_sub(clip.speech.0);
        for (to, from) in self.samples[start..].iter_mut().zip(&clip.samples) {
            *to += from;
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        Ok(Wav::create(path, RATE_HZ)?.write(&self.samples)?)
    }
}

/// What came of a conversation.
pub struct Talked {
    /// What a listener heard: the file that the speaker is, from the run's start.
    pub sound: Vec<f32>,
    pub rate_hz: u32,
    /// Each prompt: when it was made, its turn and its messages.
    pub prompts: Vec<(Packet, Vec<(Role, String)>)>,
    /// Prompts that were only read, while the user still spoke.
    pub n_read_ahead: usize,
    /// The answers' words as they were written, by turn.
    pub answers: BTreeMap<u64, String>,
    /// The words of the sound that was made, by turn, each with when it ends in the turn's sound, in seconds.
    pub spoken: BTreeMap<u64, Vec<(String, f64)>>,
    /// Seconds of that sound.
    made_s: BTreeMap<u64, f64>,
    /// When the user's speech was found to begin and end, interruptions.
    pub metrics: Vec<(String, f64)>,
    pub trace: String,
}

impl Talked {
    /// When the first and the last sample sound between two times, in seconds; silence is digital silence.
    pub fn sound_between(&self, from_s: f64, to_s: f64) -> Option<(f64, f64)> {
        let rate = f64::from(self.rate_hz);
        let at = |seconds: f64| ((seconds * rate) as usize).min(self.sound.len());
        let (from, to) = (at(from_s), at(to_s));
        let sounds = |x: &f32| *x != 0.0;
        let first = self.sound[from..to].iter().position(sounds)?;
        let last = self.sound[from..to].iter().rposition(sounds)?;
        Some(((from + first) as f64 / rate, (from + last) as f64 / rate))
    }

    /// Stretches of sound, in seconds, with less than `gap_s` of silence inside.
    pub fn stretches(&self, gap_s: f64) -> Vec<(f64, f64)> {
        let rate = f64::from(self.rate_hz);
        let mut found: Vec<(f64, f64)> = Vec::new();
        for (index, _) in self.sound.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            let at = index as f64 / rate;
            match found.last_mut() {
                Some((_, end)) if at - *end < gap_s => *end = at,
                _ => found.push((at, at)),
            }
        }
        found
    }

    /// The values of a metric, in order.
    pub fn metric(&self, name: &str) -> Vec<f64> {
        let values = self.metrics.iter().filter(|(other, _)| other == name);
        values.map(|(_, value)| *value).collect()
    }

    /// How often speech ended an answer.
    pub fn n_interruptions(&self) -> usize {
        self.metric("interrupted_ms").len()
    }
}

fn spelled(messages: &[Message]) -> Vec<(Role, String)> {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(_) => "[image]".to_owned(),
        Part::Video(_) => "[video]".to_owned(),
    };
    let message = |message: &Message| (message.role, message.parts.iter().map(part).collect());
    messages.iter().map(message).collect()
}

/// Has the conversation.
///
/// Errors: the repository is not whole; the run failed.
pub async fn talk(room: &Room, ears: Ears) -> Result<Talked> {
    let clock = Clock::new_virtual();
    let tracked = clock.clone();
    tracked.track(talk_in(clock, room, ears)).await
}

async fn talk_in(clock: Clock, room: &Room, ears: Ears) -> Result<Talked> {
    let folder = tempfile::tempdir()?;
    let (microphone, speaker) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    room.write(&microphone)?;
    let mut text = std::fs::read_to_string(root().join("configs/talk.toml"))?;
    for (ours, path) in [(MICROPHONE, &microphone), (SPEAKER, &speaker)] {
        ensure!(text.matches(ours).count() == 1, "talk.toml has no {ours}");
        text = text.replace(ours, &format!("{:?}", path.display().to_string()));
    }
    // What it writes to a terminal would be a test's output. Beside it, what is asked, written and spoken is looked at.
    text = text.replace(
        "type        = \"sink.terminal\"\n",
        "type        = \"sink.terminal\"\nlive = false\n",
    );
    for (name, from) in [("asked", "talk"), ("written", "words"), ("spoken", "voice")] {
        text += &format!("\n[stage.{name}]\ntype = \"sink.channel\"\ninput = \"{from}\"\ndeadline_ms = \"none\"\n");
    }
    let device = Device::new(bundled::find("iris-xe").cloned().context("a bundled profile")?);
    let of_engine = clock.clone();
    let engine = tests::start_in(clock.clone(), move || {
        let engine = SimEngine::charging(Kernels::Fast, device.clone(), of_engine.clone());
        async { Ok(engine) }
    })?;
    let source: Arc<dyn Source> = Arc::new(Folder::open(root().join("models/pocket-vl"))?);
    let info = engine.load(source.clone(), LoadOptions::default(), None).await?;
    let model = Model {
        text: Arc::new(ModelText::load(&*source).await?),
        loaded: BTreeMap::from([("main".to_owned(), info)]),
    };
    let mut voices = Voices::default();
    let files = VoiceFiles {
        onnx: joe("joe.onnx.zz")?.into(),
        json: joe("joe.onnx.json")?.into(),
    };
    voices.add("joe", files);
    let ear = match ears {
        Ears::Script(script) => script.ear(&clock),
        Ears::Pocket => {
            let source = stages::stt::model::open(&root().join("models/pocket-asr")).await?;
            stages::stt::model::load(&engine, source, SpeechOptions::default(), None).await?
        }
    };
    let env = Env {
        engines: BTreeMap::from([("main".to_owned(), engine)]),
        models: BTreeMap::from([("eyes".to_owned(), model)]),
        ears: BTreeMap::from([(("ears".to_owned(), "main".to_owned()), ear)]),
        base: root().join("configs"),
        now_unix_s: Some(0),
        voices,
        ..Env::default()
    };
    let channels = ["asked", "written", "spoken"].map(|name| env.open_channel(name, 1 << 16));
    let trace = Trace::on(clock.clone());
    let options = RunOptions {
        clock: clock.clone(),
        trace: trace.clone(),
        ..RunOptions::default()
    };
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(env));
    let graph = Graph::from_toml(&text, &registry)?;
    let run = Run::start(&graph, &registry, options)?;
    drop(registry);
    let events = run.events();
    let ended = run.join().await;
    ended.map_err(|error| anyhow::anyhow!("{}", chain(&error)))?;

    let mut talked = Talked {
        sound: Vec::new(),
        rate_hz: 0,
        prompts: Vec::new(),
        n_read_ahead: 0,
        answers: BTreeMap::new(),
        spoken: BTreeMap::new(),
        made_s: BTreeMap::new(),
        metrics: Vec::new(),
        trace: trace.to_json(),
    };
    while let Some(event) = events.recv().await {
        if let Body::Metric(metric) = event.body {
            talked.metrics.push((metric.name.to_owned(), metric.value));
        }
    }
    for channel in channels {
        while let Ok(packet) = channel.recv().await {
            talked.take(packet);
        }
    }
    let mut sound = Sound::open(&speaker)?;
    talked.rate_hz = sound.spec.rate_hz;
    while let Some(block) = sound.next_block()? {
        talked.sound.extend(block);
    }
    Ok(talked)
}

impl Talked {
    fn take(&mut self, packet: Packet) {
        match &packet.body {
            Body::Prompt(prompt) if prompt.max_new_tokens == 0 => self.n_read_ahead += 1,
            Body::Prompt(prompt) => {
                let messages = spelled(&prompt.messages);
                self.prompts.push((packet, messages));
            }
            Body::Text(text) => drop(self.answers.insert(packet.turn, text.text.clone())),
            Body::Audio(audio) => {
                let before = self.made_s.entry(packet.turn).or_default();
                let words = audio
                    .words
                    .iter()
                    .map(|word| (word.text.clone(), *before + word.end.as_secs_f64()));
                self.spoken.entry(packet.turn).or_default().extend(words);
                *before += audio.samples.len() as f64 / f64::from(audio.rate_hz);
            }
            _ => {}
        }
    }
}
