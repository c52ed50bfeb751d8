//! What can go wrong between a capture device and a sink.

use std::path::PathBuf;

/// An error of crate `stages`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a picture of {width}×{height} pixels is empty")]
    EmptyPicture { width: u32, height: u32 },
    #[error(
        "a picture of {width}×{height} pixels is too long: one side may be at most {max} times the other"
    )]
    AspectRatio { width: u32, height: u32, max: u32 },
    #[error("a picture has {found} bytes, expected {expected}")]
    PixelCount { found: usize, expected: usize },

    #[error("tokenizer.json: {message}")]
    Tokenizer { message: String },
    #[error("tokenizer.json has no token {token}")]
    MissingToken { token: &'static str },
    #[error("chat template ({origin}): {message}")]
    Template {
        origin: &'static str,
        message: String,
    },
    #[error("the chat template placed {found} pictures and videos, the messages hold {expected}")]
    MediaCount { found: usize, expected: usize },
    #[error(
        "medium {index} of the prompt: the chat template placed {found}, the message holds {expected}"
    )]
    MediaKind {
        index: usize,
        found: &'static str,
        expected: &'static str,
    },

    #[error("{file}: {message}")]
    ModelFile { file: &'static str, message: String },
    #[error("{file}: {key} is {found}; supported: {supported}")]
    Unsupported {
        file: &'static str,
        key: &'static str,
        found: String,
        supported: &'static str,
    },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Kept apart from [`Error`] so that a file's name is said once.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub what: String,
}
