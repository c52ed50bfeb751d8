//! Parakeet-TDT: a FastConformer encoder and a token-and-duration transducer. Source: arXiv:2305.05084, arXiv:2304.06795,
//! NVIDIA's NeMo; the formulas are in `encoder` and `decoder`. Sound and spectra are not known here: it begins with
//! log-mel features.

pub mod config;
pub mod decoder;
pub mod encoder;
pub mod load;
pub mod published;
pub mod runner;

use self::config::Config;
use self::decoder::Decoder;
use self::encoder::Encoder;
use crate::model::qwen3_vl::made::Made;

/// A model whose weights lie on an engine.
#[derive(Debug)]
pub struct Parakeet {
    /// What a person would call it.
    pub name: String,
    pub config: Config,
    pub encoder: Encoder,
    pub decoder: Decoder,
    /// The window and the mel filters of the checkpoint, where it has them.
    pub front_end: FrontEnd,
    /// Bytes of all matrices on the engine.
    pub weight_bytes: u64,
    /// All tensors of it.
    pub made: Made,
}

/// What a checkpoint says of the features that it was trained on; they are computed elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontEnd {
    /// `[win_length]`
    pub window: Option<Vec<f32>>,
    /// `[n_mels, n_fft / 2 + 1]`
    pub filters: Option<Vec<f32>>,
}
