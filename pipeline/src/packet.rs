//! What travels over a link: plain data and opaque handles. Not for what happens to it (crate `stages`).

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Timestamp;

/// One message on a link.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Counts from 0 in the stage that made the packet.
    pub seq: u64,
    /// When the thing that it tells of happened at the source (a frame: when it was captured).
    pub pts: Timestamp,
    /// The turn that it belongs to; packets of an older turn than the current one are dropped at every hop. What belongs to none,
    /// as the sound of a microphone, has [`crate::turn::Turn::ALWAYS`].
    pub turn: u64,
    pub body: Body,
}

/// The kinds of packet; a port accepts or makes one or more of them, see [`PacketKind`].
#[derive(Clone, Debug)]
pub enum Body {
    Frame(Frame),
    Features(Features),
    Audio(Audio),
    Speech(Speech),
    Prompt(Prompt),
    Tokens(Tokens),
    Text(Text),
    Event(Event),
    Metric(Metric),
    Played(Played),
}

/// The kind of a [`Body`], for the types of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketKind {
    Frame,
    Features,
    Audio,
    Speech,
    Prompt,
    Tokens,
    Text,
    Event,
    Metric,
    Played,
}

impl PacketKind {
    pub const ALL: [PacketKind; 10] = [
        PacketKind::Frame,
        PacketKind::Features,
        PacketKind::Audio,
        PacketKind::Speech,
        PacketKind::Prompt,
        PacketKind::Tokens,
        PacketKind::Text,
        PacketKind::Event,
        PacketKind::Metric,
        PacketKind::Played,
    ];

    /// As it is written in messages: `frame`.
    pub fn name(self) -> &'static str {
        match self {
            PacketKind::Frame => "frame",
            PacketKind::Features => "features",
            PacketKind::Audio => "audio",
            PacketKind::Speech => "speech",
            PacketKind::Prompt => "prompt",
            PacketKind::Tokens => "tokens",
            PacketKind::Text => "text",
            PacketKind::Event => "event",
            PacketKind::Metric => "metric",
            PacketKind::Played => "played",
        }
    }
}

impl Body {
    pub fn kind(&self) -> PacketKind {
        match self {
            Body::Frame(_) => PacketKind::Frame,
            Body::Features(_) => PacketKind::Features,
            Body::Audio(_) => PacketKind::Audio,
            Body::Speech(_) => PacketKind::Speech,
            Body::Prompt(_) => PacketKind::Prompt,
            Body::Tokens(_) => PacketKind::Tokens,
            Body::Text(_) => PacketKind::Text,
            Body::Event(_) => PacketKind::Event,
            Body::Metric(_) => PacketKind::Metric,
            Body::Played(_) => PacketKind::Played,
        }
    }
}

/// Which picture or recording something is about: carried from capture to the words, so that a sink can name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRef {
    /// The source's own number of the frame or file, from 0 (before any drop).
    pub index: u64,
    /// The file stem, the window's title, … ; empty if there is none.
    pub label: Arc<str>,
    pub pts: Timestamp,
}

/// A picture on the CPU.
#[derive(Clone, Debug)]
pub struct Frame {
    pub about: FrameRef,
    pub width: u32,
    pub height: u32,
    /// `[height, width, 3]` u8, sRGB.
    pub rgb: Arc<[u8]>,
    /// Which tiles differ from the last frame that went on; `None` before `vision.changes`, or for a first frame.
    pub changed: Option<Arc<ChangedTiles>>,
}

/// Tiles of `tile × tile` pixels in raster order; the last row and column may be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedTiles {
    pub tile: u32,
    pub columns: u32,
    pub rows: u32,
    pub changed: Vec<bool>,
}

/// The embeddings of a picture, or of a pair of frames, as they lie on an engine.
#[derive(Clone, Debug)]
pub struct Features {
    /// The picture, or the later one of a pair.
    pub about: FrameRef,
    /// The earlier frame of a pair (then this is a video of two frames), or `None` for a picture.
    pub before: Option<FrameRef>,
    /// Patches: time (always 1), rows, columns; `rows * columns / 4` tokens.
    pub grid_thw: [u32; 3],
    /// What the engine knows it by; dropping the last clone frees it there.
    pub handle: Arc<dyn Any + Send + Sync>,
}

/// Samples as they come from a microphone or go to a speaker. `pts` of the packet is the time of the first one.
///
/// On its way to speech to text, the blocks of an utterance follow each other, and [`Speech`] ends it; a block without samples
/// asks for what was heard so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audio {
    pub rate_hz: u32,
    /// Mono, −1 … 1.
    pub samples: Arc<[f32]>,
    /// What is said in it, where that is known (a voice made it), with times from the first sample.
    pub words: Arc<[Word]>,
    /// The recording that it is of, if any.
    pub about: Option<FrameRef>,
}

/// The end of an utterance. `pts` of the packet is when the speech ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Speech {
    pub rate_hz: u32,
    /// What was not sent as [`Audio`] before: all of it, its last samples, or none.
    pub samples: Arc<[f32]>,
    /// False: it was no speech after all, and what was heard of it is to be forgotten.
    pub kept: bool,
    pub about: Option<FrameRef>,
}

/// A word in sound.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Word {
    /// As it is written, with its punctuation.
    pub text: String,
    pub start: Duration,
    pub end: Duration,
    /// How sure it is that this was said, 0 … 1: 1 where a voice said it.
    pub confidence: f32,
}

/// A conversation for the model to continue.
#[derive(Clone, Debug)]
pub struct Prompt {
    pub messages: Vec<Message>,
    /// The picture that the answer will be about, if any.
    pub about: Option<FrameRef>,
    /// Upper bound of the answer, thinking included. 0: it is only read, so that a prompt that begins alike is answered sooner.
    pub max_new_tokens: u32,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
}

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Image(Features),
    /// Pairs of frames in order, each with its time in seconds in the source.
    Video(Vec<(f64, Features)>),
}

/// Token ids: a prompt on its way to the model, or a piece of its answer.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub ids: Arc<[u32]>,
    pub about: Option<FrameRef>,
    pub role: TokensRole,
}

#[derive(Clone, Debug)]
pub enum TokensRole {
    Prompt {
        /// In order of appearance: the first pad token that each picture's (or frame pair's) features replace, and the features.
        media: Vec<(usize, Features)>,
        /// As in [`Prompt`].
        max_new_tokens: u32,
        /// The template ended inside a thought (`<think>\n`), so the answer starts there.
        thinking: bool,
    },
    /// Ids that were sampled since the last packet of this answer.
    Answer {
        /// Natural logarithms of the probabilities of `ids`, as sampled.
        logprobs: Arc<[f32]>,
        /// Set on the last packet of the answer.
        finished: Option<Finish>,
        thinking: bool,
    },
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop token.
    Stop,
    /// `max_new_tokens`, or the end of the context.
    Length,
    Cancelled,
}

/// Words: of an answer, or of what was heard.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// What was added since the last packet of this answer; empty where words that were heard have changed.
    pub delta: String,
    /// All of it so far.
    pub text: String,
    pub about: Option<FrameRef>,
    /// A thought, not part of the answer.
    pub thought: bool,
    /// Set on the last packet of the answer.
    pub finished: Option<Finish>,
    /// Where and how it was heard, if it was.
    pub spoken: Option<Spoken>,
}

/// When a text was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    /// Of the first sample of the utterance.
    pub start: Timestamp,
    /// Of its last sample so far.
    pub end: Timestamp,
    /// With times from `start`.
    pub words: Arc<[Word]>,
    /// Words at the start that no further sound will change.
    pub n_settled: usize,
}

/// What of the sound that went to a speaker was really played: a state, for `latest` links, of which the last says all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// The last turns that had sound, the oldest first.
    pub turns: Arc<[PlayedTurn]>,
    pub rate_hz: u32,
    /// The last second of what sounds: blocks, each with the time of its first sample, which may still lie ahead. Nothing is in it for
    /// the silence between answers.
    pub signal: Arc<[(Timestamp, Arc<[f32]>)]>,
}

/// What was played of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayedTurn {
    pub turn: u64,
    /// Of the first sample, as it sounded.
    pub start: Timestamp,
    /// Samples that were played.
    pub n_samples: u64,
    /// Samples that came and are still to be played, or never will be if the turn was cut.
    pub n_waiting: u64,
    /// The words that were played to their end, with times from the turn's first sample, silence left out.
    pub words: Arc<[Word]>,
    pub state: PlayState,
}

/// How far the sound of a turn is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayState {
    #[default]
    Playing,
    /// All that came was played; more may come.
    Done,
    /// The turn was over before all of it was played.
    Cut,
}

/// Something that happened.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A stage works on something long.
    Progress {
        stage: String,
        what: String,
        done: u64,
        total: u64,
    },
    /// A stage lost work but the graph goes on.
    Warning {
        stage: String,
        message: String,
    },
    /// A stage failed, panicked or hung. Unless it is restarted, this ends the run.
    StageFailed {
        stage: String,
        message: String,
    },
    /// A stage was built anew and goes on; `message` is what had ended it.
    StageRestarted {
        stage: String,
        /// This one included.
        n_restarts: u64,
        message: String,
    },
    StageEnded {
        stage: String,
    },
    /// Speakers fall silent and keep what waits, or go on with it.
    Hold {
        held: bool,
    },
    /// Somebody began to speak, or ended; `pts` of the packet is when.
    Voice {
        on: bool,
    },
}

/// A number about a link or a stage.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Metric {
    /// The link (`from -> to`) or stage.
    pub of: String,
    /// `depth`, `waited_us`, `dropped`, `sent`, `busy_us`, `tokens_per_s` …
    pub name: &'static str,
    pub value: f64,
}
