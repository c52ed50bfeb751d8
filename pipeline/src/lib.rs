//! Packets, actors, bounded links and graphs from TOML. No models, no GPU, no devices.

pub mod packet;
pub mod time;
