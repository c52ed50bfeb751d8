//! Text to speech: `normalize` reads a text as a person would, `phonemes` says how its words sound.

pub mod normalize;
pub mod phonemes;
