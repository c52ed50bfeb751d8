//! What the model sees: sizes and resampling, frames of videos, differences between frames; and the actors around them.

pub mod changes;
pub mod difference;
pub mod encode;
pub mod resize;
pub mod video;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    changes::register(registry);
    encode::register(registry, env);
}
