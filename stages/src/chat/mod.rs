//! What is said to the model about what it sees.

pub mod ask;
pub mod narrate;
pub mod talk;

use std::sync::Arc;

use pipeline::packet::{Features, Message, Part, Role};
use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    ask::register(registry);
    narrate::register(registry);
    talk::register(registry, env);
}

/// Upper bounds of an answer that make sense.
pub(crate) fn fault_of_max_new_tokens(n: u32) -> Option<pipeline::error::Fault> {
    let fault = || pipeline::error::Fault::new("max_new_tokens", format!("is {n}"), "tokens, from 1 to 32768");
    (!(1..=32_768).contains(&n)).then(fault)
}

/// A message of text alone.
pub(crate) fn text_message(role: Role, text: impl Into<String>) -> Message {
    Message {
        role,
        parts: vec![Part::Text(text.into())],
    }
}

/// A user's message of a picture, or a pair of frames, and words about it.
pub(crate) fn picture_message(features: Features, text: impl Into<String>) -> Message {
    let picture = match &features.before {
        None => Part::Image(features),
        Some(before) => {
            // A pair is told apart from others by its time only; it starts when the earlier frame was taken.
            let seconds = features.about.pts.since(before.pts).as_secs_f64();
            Part::Video(vec![(seconds / 2.0, features)])
        }
    };
    Message {
        role: Role::User,
        parts: vec![picture, Part::Text(text.into())],
    }
}
