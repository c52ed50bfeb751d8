//! Helpers of the system tests and of the golden program.

pub mod close;
pub mod faults;
pub mod flaky;
pub mod golden;
pub mod tokenizer;
pub mod twin;
pub mod voice;

use anyhow::Result;
use futures::executor::block_on;
use gpu::actor::Timing;
use gpu::engine::Engine;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::plan::{Single, Variants, Vector};
use gpu::protocol::GpuHandle;
use pipeline::time::Clock;
use pipeline::trace::TraceHandle;
pub use sim::Kernels;
use sim::hybrid::{Beside, Mixed, Shadow, ShadowHandle, TrafficHandle};
use sim::timing::impossible::Switches;

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

/// The same where it draws on the CPU, with the kernels and plans by which a GPU decodes; `None` where it is a GPU.
///
/// Errors: as [`wgpu_engine`].
pub fn wgpu_engine_decoding_as_gpu() -> Result<Option<WgpuEngine>> {
    let engine = wgpu_engine()?;
    Ok(engine.adapter().software.then(|| decoding_as_gpu(engine)))
}

/// An engine with the kernels and plans by which a GPU decodes.
pub fn decoding_as_gpu(mut engine: WgpuEngine) -> WgpuEngine {
    engine.set_variants(Variants {
        vector: Vector::Dot,
        single: Single::Split,
        gated: true,
        ..Variants::of(engine.adapter())
    });
    engine
}

/// Operations of fewer bytes are simulated in tests of the hybrid engine: of the tiny models' about half.
pub const SIMULATE_BELOW: u64 = 16 << 10;

/// An engine that plays the operations below [`SIMULATE_BELOW`] on CPU twins and the others on `real`, and what it does.
pub fn mixed<R: Engine>(real: R) -> (Mixed<R>, TrafficHandle) {
    let traffic = TrafficHandle::default();
    (Mixed::new(real, Kernels::Fast, SIMULATE_BELOW, traffic.clone()), traffic)
}

/// An engine that plays all on `real` and keeps what it takes beside what the adapter's profile says; and the account.
pub fn shadow<R: Engine>(real: R) -> (Shadow<R>, ShadowHandle) {
    let handle = ShadowHandle::default();
    (shadow_with(real, handle.clone()), handle)
}

/// The same with an account that is there.
pub fn shadow_with<R: Engine>(real: R, handle: ShadowHandle) -> Shadow<R> {
    let beside = Beside {
        profile: None,
        switches: Switches::ON,
    };
    Shadow::new(real, &beside, handle)
}

/// The actor of the engines that `make` gives, on a thread of its own.
pub fn start<E: Engine, F, Fut>(make: F) -> Result<GpuHandle>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = gpu::Result<E>> + 'static,
{
    start_in(Clock::new(), make)
}

/// The same in the time of `clock`.
pub fn start_in<E: Engine, F, Fut>(clock: Clock, make: F) -> Result<GpuHandle>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = gpu::Result<E>> + 'static,
{
    let timing = Timing {
        clock,
        trace: TraceHandle::off(),
    };
    Ok(block_on(gpu::actor::start("gpu", timing, make))?)
}

/// Both engines' actors, by name, and where the adapter draws on the CPU a third that decodes as GPUs do. Without an adapter
/// the second is left out with a word, or, with `REQUIRE_GPU=1`, is an error.
pub fn actors() -> Result<Vec<(&'static str, GpuHandle)>> {
    let mut actors = vec![("sim", start(|| async { Ok(sim_engine(Kernels::Fast)) })?)];
    if let Some(engine) = twin::gpu_engine() {
        actors.push(("wgpu", start(|| WgpuEngine::new(AdapterChoice::default()))?));
        if engine.adapter().software {
            let open = || WgpuEngine::new(AdapterChoice::default());
            let make = move || async move { open().await.map(decoding_as_gpu) };
            actors.push(("wgpu, decoding as a GPU", start(make)?));
        }
    }
    Ok(actors)
}
