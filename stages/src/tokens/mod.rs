//! From conversations to ids and back: the tokenizer, chat templates, room for pictures, thoughts; and the actors around them.

pub mod bpe;
pub mod chat_template;
pub mod date;
pub mod decode;
pub mod encode;
pub mod guard;
pub mod media;
pub mod python_json;
pub mod rendered;
pub mod thinking;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    encode::register(registry, env);
    decode::register(registry, env);
}
