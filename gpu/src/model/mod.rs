//! Models: what they load, and the recordings of their forward passes. No adapter and no numbers here.

pub mod ops;
pub mod parakeet;
pub mod qwen3_vl;
