//! What can go wrong between a capture device and a sink.

use std::path::PathBuf;

/// An error of crate `stages`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a picture of {width}×{height} pixels is empty")]
    EmptyPicture { width: u32, height: u32 },
    #[error("a picture of {width}×{height} pixels is too long: one side may be at most {max} times the other")]
    AspectRatio { width: u32, height: u32, max: u32 },
    #[error("a picture has {found} bytes, expected {expected}")]
    PixelCount { found: usize, expected: usize },
    #[error("a picture of {width}×{height} pixels is too large: at most {max_pixels} pixels are read")]
    TooManyPixels { width: u32, height: u32, max_pixels: u64 },
    #[error("a file of {size_bytes} bytes is too large for a picture: at most {max_bytes} are read")]
    TooManyBytes { size_bytes: u64, max_bytes: u64 },
    #[error("the file is empty")]
    EmptyFile,
    #[error("no picture that can be read (PNG, JPEG, WebP, GIF or BMP): {message}")]
    Decode { message: String },
    #[error("{}", path.display())]
    InFile { path: PathBuf, source: Box<Error> },
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{} holds no picture (.png, .jpg, .jpeg, .webp, .gif, .bmp)", path.display())]
    NoPictures { path: PathBuf },
    #[error("ffmpeg, which reads videos, cannot be started ({message}); install it, on Debian: apt install ffmpeg")]
    NoFfmpeg { message: String },
    #[error("{}: ffmpeg gave up: {message}", path.display())]
    Ffmpeg { path: PathBuf, message: String },
    #[error("the screen cannot be captured: {reason}")]
    NoScreen { reason: String },

    #[error("{}: {message}", path.display())]
    Sound { path: PathBuf, message: String },
    #[error("voice activity: {message}")]
    Vad { message: String },
    #[error("sound that cannot be heard: it {message}")]
    RateOfSound { message: String },
    #[error("tokenizer.json: {message}")]
    Tokenizer { message: String },
    #[error("tokenizer.json has no token {token}")]
    MissingToken { token: &'static str },
    #[error("chat template ({origin}): {message}")]
    Template { origin: &'static str, message: String },
    #[error("the chat template placed {found} pictures and videos, the messages hold {expected}")]
    MediaCount { found: usize, expected: usize },
    #[error("medium {index} of the prompt: the chat template placed {found}, the message holds {expected}")]
    MediaKind {
        index: usize,
        found: &'static str,
        expected: &'static str,
    },
    #[error("a picture of the prompt was not encoded by this program's engine")]
    ForeignFeatures,

    #[error("the dictionary of this program cannot be read: its {what}")]
    Lexicon { what: &'static str },

    #[error("voice {voice}: its {file} file {message}")]
    VoiceFile {
        voice: String,
        file: &'static str,
        message: String,
    },
    #[error("voice {voice}: its files disagree: {key} is {json} in the JSON and {onnx} in the ONNX")]
    VoiceMismatch {
        voice: String,
        key: &'static str,
        json: u64,
        onnx: u64,
    },
    #[error("voice {voice} has no speaker {speaker}; it has 0 to {} {known}", n_speakers - 1)]
    NoSpeaker {
        voice: String,
        speaker: String,
        n_speakers: u64,
        known: String,
    },
    #[error("voice {voice} cannot say this: {message}")]
    Synthesis { voice: String, message: String },
    #[error("voice {voice} speaks {language}; phonemes are made for American English (en-us)")]
    Language { voice: String, language: String },
    #[error("there is no voice {name}; {accepted}")]
    NoVoice { name: String, accepted: String },

    #[error("{}: the sound changes from {rate_hz} Hz to {found} Hz", path.display())]
    RateChanged { path: PathBuf, rate_hz: u32, found: u32 },

    #[error("{model}: {file} is missing")]
    MissingFile { model: String, file: &'static str },
    #[error("{model}: {file}: {message}")]
    ModelFile {
        model: String,
        file: &'static str,
        message: String,
    },
    #[error("{model}: {file}: {key} is {found}; supported: {supported}")]
    Unsupported {
        model: String,
        file: &'static str,
        key: &'static str,
        found: String,
        supported: &'static str,
    },
    #[error("the section of {kind} {name} was not set up before the graph")]
    NotSetUp { kind: &'static str, name: String },
    #[error("model {model} is not loaded on engine {engine}")]
    NotLoaded { model: String, engine: String },
    #[error("no channel {name} was opened by the program that embeds this graph")]
    NoChannel { name: String },
    #[error(transparent)]
    Gpu(#[from] gpu::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
