//! Helpers of the system tests and of the golden program.

pub mod close;
pub mod golden;
pub mod tokenizer;
pub mod twin;

use anyhow::Result;
use futures::executor::block_on;
use gpu::actor::Timing;
use gpu::engine::Engine;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::protocol::GpuHandle;
use pipeline::time::Clock;
use pipeline::trace::TraceHandle;
pub use sim::Kernels;

/// The simulator with its plain twins or its fast paths.
pub fn sim_engine(kernels: Kernels) -> sim::SimEngine {
    sim::SimEngine::new(kernels)
}

/// The adapter that is there, as the program opens it.
///
/// Errors: no adapter, or one that is too small.
pub fn wgpu_engine() -> Result<WgpuEngine> {
    Ok(block_on(WgpuEngine::new(AdapterChoice::default()))?)
}

/// The actor of an engine on a thread of its own.
pub fn start<E: Engine + Send>(engine: E) -> Result<GpuHandle> {
    let timing = Timing {
        clock: Clock::new(),
        trace: TraceHandle::off(),
    };
    Ok(block_on(gpu::actor::start("gpu", timing, || async { Ok(engine) }))?)
}

/// Both engines' actors, by name. Without an adapter the second is left out with a word, or, with `REQUIRE_GPU=1`, is an
/// error.
pub fn actors() -> Result<Vec<(&'static str, GpuHandle)>> {
    let mut actors = vec![("sim", start(sim_engine(Kernels::Fast))?)];
    if twin::gpu_engine().is_some() {
        let timing = Timing {
            clock: Clock::new(),
            trace: TraceHandle::off(),
        };
        let make = || WgpuEngine::new(AdapterChoice::default());
        actors.push(("wgpu", block_on(gpu::actor::start("gpu", timing, make))?));
    }
    Ok(actors)
}
