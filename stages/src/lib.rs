//! What happens to a packet: capture, vision, tokens, chat, generation, sinks.
//! A folder a stage; the maths stands apart from the messages. No models: those are behind `gpu::protocol::GpuHandle`.

pub mod error;
pub mod tokens;
pub mod vision;

pub use error::{Error, Result};
