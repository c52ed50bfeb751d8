//! Text to speech: `normalize` reads a text as a person would, `phonemes` says how its words sound, `voice` turns them into
//! samples, `speaker` does all of that in portions, `written` finds the
//! text's own words again, and `piper` is the stage.

pub mod normalize;
pub mod phonemes;
pub mod piper;
pub mod speaker;
pub mod voice;
pub mod voices;
pub mod written;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    piper::register(registry, env);
}

#[cfg(test)]
mod tests;
