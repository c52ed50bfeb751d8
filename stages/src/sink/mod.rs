//! Where words and sound go: files, the terminal, the program around the graph.

pub mod channel;
pub mod player;

#[cfg(not(target_arch = "wasm32"))]
pub mod jsonl;
#[cfg(not(target_arch = "wasm32"))]
pub mod lines;
#[cfg(not(target_arch = "wasm32"))]
#[cfg(not(target_arch = "wasm32"))]
pub mod terminal;
#[cfg(not(target_arch = "wasm32"))]
pub mod text;
#[cfg(not(target_arch = "wasm32"))]
pub mod tsv;
#[cfg(not(target_arch = "wasm32"))]
pub mod wav;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    channel::register(registry, env);
    #[cfg(not(target_arch = "wasm32"))]
    {
        jsonl::register(registry);
        terminal::register(registry);
        text::register(registry);
        tsv::register(registry);
        wav::register(registry);
    }
}
