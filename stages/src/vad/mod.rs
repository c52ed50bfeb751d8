//! Who speaks: voice activity, and whether it is only the program's own voice out of the speaker.

pub mod bands;
pub mod echo;
pub mod hear;
pub mod listen;
pub mod segment;
pub mod silero;

use pipeline::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    listen::register(registry);
}

#[cfg(test)]
mod tests;
