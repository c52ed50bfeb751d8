//! Speech to text: `mel` and `pieces` are the maths before and after the model, `recognise` takes an utterance through it,
//! `model` finds and loads one, and `parakeet` is the stage.

pub mod mel;
pub mod model;
pub mod parakeet;
pub mod pieces;
pub mod recognise;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    parakeet::register(registry, env);
}
