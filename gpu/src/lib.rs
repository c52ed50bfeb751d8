//! Recordings, plans, WGSL kernels, weights, Qwen3-VL, and the engine's messages.
//! No audio, no cameras, no configuration files.

pub mod actor;
pub mod engine;
pub mod error;
pub mod kernel;
pub mod kv_cache;
pub mod model;
pub mod plan;
pub mod protocol;
pub mod recording;
pub mod sampler;
pub mod tensor;
pub mod weights;

pub use error::{Error, Result};
