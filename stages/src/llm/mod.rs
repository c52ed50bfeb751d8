//! The language model's answers.

pub mod generate;

use std::sync::Arc;

use pipeline::registry::Registry;

use crate::env::Env;

pub(crate) fn register(registry: &mut Registry, env: &Arc<Env>) {
    generate::register(registry, env);
}
