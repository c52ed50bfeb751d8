//! Text to speech: `normalize` reads a text as a person would.

pub mod normalize;
