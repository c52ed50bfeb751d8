//! Where pictures and sound come from: files, folders, videos, screens, microphones. Native only, but for the decoding of pictures.

pub mod pace;
pub mod picture;

#[cfg(not(target_arch = "wasm32"))]
pub mod audio;
#[cfg(not(target_arch = "wasm32"))]
mod ffmpeg;
#[cfg(not(target_arch = "wasm32"))]
pub mod file;
#[cfg(not(target_arch = "wasm32"))]
pub mod frames;
#[cfg(not(target_arch = "wasm32"))]
pub mod screen;
#[cfg(not(target_arch = "wasm32"))]
pub mod video;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    file::register(registry, env);
    frames::register(registry, env);
    video::register(registry, env);
    screen::register(registry);
    audio::register(registry, env);
}

/// In the tab the page captures; it registers its own sources.
#[cfg(target_arch = "wasm32")]
pub(crate) fn register(_registry: &mut Registry, _env: &Arc<Env>) {}
