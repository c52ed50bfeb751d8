//! An engine that plays recordings on the CPU: the oracle of the tests, and a stand-in where there is no GPU.
//!
//! [`kernel`] holds a twin of every operation, written from its formula; [`fast`] does again what has to be quick, and is
//! tested against the twins; [`SimEngine`] plays recordings on either. [`timing`] says what a real device would take; [`hybrid`]
//! has a real engine and this one side by side. No wgpu.

mod charge;
mod check;
pub mod engine;
pub mod fast;
pub mod hybrid;
pub mod kernel;
mod memory;
mod operands;
mod play;
pub mod timing;
pub mod tiny_gpu;

pub use engine::{Kernels, SimEngine};
