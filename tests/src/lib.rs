//! Helpers of the system tests and of the golden program.

pub mod close;
pub mod golden;
pub mod tokenizer;
pub mod twin;

use anyhow::Result;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
pub use sim::Kernels;

/// The simulator with its plain twins or its fast paths.
pub fn sim_engine(kernels: Kernels) -> sim::SimEngine {
    sim::SimEngine::new(kernels)
}

/// The adapter that is there, with bounds checks in its shaders.
///
/// Errors: no adapter, or one that is too small.
pub fn wgpu_engine() -> Result<WgpuEngine> {
    let choice = AdapterChoice { checked: true, ..AdapterChoice::default() };
    Ok(futures::executor::block_on(WgpuEngine::new(choice))?)
}
