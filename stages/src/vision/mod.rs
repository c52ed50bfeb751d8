//! What the model sees: sizes and resampling, frames of videos, differences between frames.

pub mod difference;
pub mod resize;
pub mod video;
