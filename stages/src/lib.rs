//! What happens to a packet: capture, vision, tokens, chat, generation, sinks.
//! A folder a stage; the maths stands apart from the messages. No models: those are behind `gpu::protocol::GpuHandle`.

pub mod capture;
pub mod chat;
pub mod data;
pub mod env;
pub mod error;
pub mod llm;
pub mod model;
pub mod sink;
pub mod sound;
pub mod stt;
pub mod tokens;
pub mod tts;
pub mod turn;
pub mod vad;
pub mod vision;

use std::sync::Arc;

use pipeline::registry::Registry;

pub use env::{Env, Model};
pub use error::{Error, Result};
pub use model::ModelText;

/// Registers every type of stage; those that a platform lacks are not there.
pub fn register(registry: &mut Registry, env: &Arc<Env>) {
    capture::register(registry, env);
    vision::register(registry, env);
    chat::register(registry, env);
    tokens::register(registry, env);
    llm::register(registry, env);
    stt::register(registry, env);
    tts::register(registry, env);
    turn::register(registry);
    vad::register(registry);
    sink::register(registry, env);
}
