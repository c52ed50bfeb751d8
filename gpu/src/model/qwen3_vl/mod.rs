//! Qwen3-VL, dense (2B, 4B, 8B and the pocket model). Source: arXiv:2511.21631; the formulas are in `vision` and `text`.

pub mod buckets;
mod build;
pub mod config;
pub mod dry;
pub mod features;
pub mod load;
pub mod made;
pub mod mrope;
pub mod published;
pub mod random;
pub mod runner;
pub mod text;
pub mod vision;

use self::config::Config;
use self::made::Made;
use self::text::Text;
use self::vision::Vision;

/// A model whose weights lie on an engine.
#[derive(Debug)]
pub struct Qwen3Vl {
    /// What a person would call it.
    pub name: String,
    pub config: Config,
    pub vision: Vision,
    pub text: Text,
    pub stop_ids: Vec<u32>,
    /// Bytes of all matrices on the engine.
    pub weight_bytes: u64,
    /// All tensors of it.
    pub made: Made,
}
