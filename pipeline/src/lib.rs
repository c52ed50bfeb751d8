//! Packets, actors, bounded links and graphs from TOML. No models, no GPU, no devices.

pub mod actor;
pub mod alone;
mod config;
pub mod error;
pub mod events;
pub mod graph;
pub mod link;
pub mod packet;
pub mod record;
pub mod registry;
pub mod runtime;
mod signal;
pub mod spawn;
pub mod time;
pub mod trace;
pub mod turn;

#[cfg(test)]
mod testing;
