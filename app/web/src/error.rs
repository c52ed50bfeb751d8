//! What can go wrong in the tab, in words that the page shows as they are.

/// This crate's errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request is not valid: {0}")]
    Request(#[from] serde_json::Error),
    #[error("there is no shape \"{name}\"; there are {known}")]
    Shape { name: String, known: String },
    #[error("there is no quantisation {quant}; there are 4, 8 and 0 for dense")]
    Quant { quant: u8 },
    #[error(transparent)]
    Engine(#[from] gpu::Error),
    #[error("the answer ended before its last token")]
    CutShort,
}

pub type Result<T> = std::result::Result<T, Error>;
