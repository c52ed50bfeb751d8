//! What plays recordings: the trait that the real GPU and the simulator share, and the state that decoding keeps there.

pub mod choose;
#[cfg(feature = "wgpu")]
pub mod wgpu;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};

use crate::error::Result;
use crate::kernel::preamble::Need;
use crate::plan::Plan;
use crate::recording::Recording;
use crate::tensor::TensorId;

/// What [`crate::plan::lower`] decides by, and what `doctor` prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    pub name: String,
    pub driver: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu`, `sim`.
    pub backend: String,
    /// Draws on the CPU.
    pub software: bool,
    /// Largest range that one storage binding may cover.
    pub max_binding_bytes: u64,
    pub max_buffer_bytes: u64,
    /// Workgroups a dimension.
    pub max_workgroups: u32,
    pub max_invocations: u32,
    pub workgroup_memory_bytes: u32,
    pub storage_buffers: u32,
    pub shader_f16: bool,
    /// Smallest and largest subgroup, if kernels may use them.
    pub subgroups: Option<(u32, u32)>,
    pub subgroup_barrier: bool,
    pub timestamps: bool,
    /// Timestamps between the dispatches of a pass, not only at its ends.
    pub timestamps_inside_passes: bool,
    /// What cooperative matrices multiply; empty where there are none.
    pub coop: Vec<CoopShape>,
}

/// One product that cooperative matrices compute: `C [m, n] += A [m, k] · B [k, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoopShape {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    /// Type of A and B.
    pub inputs: CoopScalar,
    /// Type of C.
    pub sums: CoopScalar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoopScalar {
    F32,
    F16,
    I32,
    U32,
}

impl Adapter {
    /// An adapter with WebGPU's default limits and no feature; of no backend. To be changed where something is known.
    pub fn plain(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            driver: String::new(),
            backend: "none".into(),
            software: false,
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            max_workgroups: 65_535,
            max_invocations: 256,
            workgroup_memory_bytes: 16 << 10,
            storage_buffers: 8,
            shader_f16: false,
            subgroups: None,
            subgroup_barrier: false,
            timestamps: false,
            timestamps_inside_passes: false,
            coop: Vec::new(),
        }
    }

    /// Does the adapter have what a kernel's header says that it needs?
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::F16 => self.shader_f16,
            Need::Subgroups => self.subgroups.is_some(),
            Need::Coop => !self.coop.is_empty() && self.subgroup_barrier,
        }
    }

    /// The side of square cooperative matrices of f16 that are summed in f32, the largest that there is.
    pub fn coop_f16_side(&self) -> Option<u32> {
        let wanted = |shape: &&CoopShape| {
            let types = (shape.inputs, shape.sums) == (CoopScalar::F16, CoopScalar::F32);
            types && shape.m == shape.n && shape.n == shape.k
        };
        self.coop.iter().filter(wanted).map(|shape| shape.m).max()
    }
}

/// A recording made ready to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PreparedId(pub u64);

/// Bytes that arrive later. Does not borrow the engine: several reads may be under way.
pub type ReadFuture = Pin<Box<dyn Future<Output = Result<Vec<u8>>>>>;

/// How long each dispatch of a plan took, in the plan's order; `None` where the adapter cannot tell. Arrives later.
pub type TimesFuture = Pin<Box<dyn Future<Output = Result<Option<Vec<Duration>>>>>>;

/// How long a slice took by the adapter's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// What decides whether the slice runs at all, where a plan has such a dispatch before its first slice.
    pub gate: Option<Duration>,
    /// Of each dispatch of the slice.
    pub dispatches: Vec<Duration>,
    /// When each dispatch began, from the beginning of the whole.
    pub begins: Vec<Duration>,
    /// From the beginning of the first to the end of the last, so with what lies between them.
    pub whole: Duration,
}

/// Stamps that arrive later; `None` where the adapter cannot tell.
pub type StampsFuture = Pin<Box<dyn Future<Output = Result<Option<Stamps>>>>>;

/// Plays recordings. Calls are queued in order; nothing waits but the future of [`Engine::read`].
/// An engine is owned by one actor on one thread.
pub trait Engine: 'static {
    fn adapter(&self) -> &Adapter;

    /// Zeroed memory. `size_bytes` is rounded up to whole words; 0 gives one word.
    ///
    /// Errors: `OutOfMemory`, `AdapterTooSmall`, `DeviceLost`.
    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId>;

    /// Frees a tensor. What was queued before may still use it. Unknown ids are ignored.
    fn release(&mut self, tensor: TensorId);

    /// Writes `bytes` at `offset`, both multiples of 4, before everything that is queued later.
    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Copies within the engine; offsets and size are multiples of 4.
    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()>;

    /// What the tensor holds after all that is queued so far; offset and size are multiples of 4.
    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture;

    /// Lowers a recording once: pipelines, temporaries and bind groups are made here, so that playing makes nothing.
    fn prepare(&mut self, recording: Recording) -> Result<PreparedId>;

    /// Frees what [`Engine::prepare`] made.
    fn discard(&mut self, prepared: PreparedId);

    /// How many slices (see [`Recording::slices`]) a prepared recording has; at least 1.
    fn n_slices(&self, prepared: PreparedId) -> usize;

    /// Queues one slice. Slices of different recordings may be played in turns: temporaries are not shared between
    /// recordings that are cut.
    fn play_slice(&mut self, prepared: PreparedId, slice: usize) -> Result<()>;

    /// Queues slices one after the other; engines that can submit them together.
    ///
    /// Errors: those of [`Engine::play_slice`].
    fn play_slices(&mut self, prepared: PreparedId, mut slices: Range<usize>) -> Result<()> {
        slices.try_for_each(|slice| self.play_slice(prepared, slice))
    }

    /// Queues a whole recording.
    fn play(&mut self, prepared: PreparedId) -> Result<()> {
        (0..self.n_slices(prepared)).try_for_each(|slice| self.play_slice(prepared, slice))
    }

    /// Queues a whole recording `n` times in a row.
    fn play_times(&mut self, prepared: PreparedId, n: u32) -> Result<()> {
        (0..n).try_for_each(|_| self.play(prepared))
    }

    /// Queues a whole recording with a time stamp around each dispatch: a little slower than [`Engine::play`], and each
    /// dispatch waits for the one before it.
    fn play_timed(&mut self, prepared: PreparedId) -> TimesFuture {
        let played = self.play(prepared);
        Box::pin(async move { played.map(|()| None) })
    }

    /// Queues one slice, as [`Engine::play_slice`], with a time stamp around each dispatch: what it computes is the same.
    fn play_stamped(&mut self, prepared: PreparedId, slice: usize) -> Result<StampsFuture> {
        self.play_slice(prepared, slice)?;
        Ok(Box::pin(std::future::ready(Ok(None))))
    }

    /// What a prepared recording was lowered to, if this engine plays plans.
    fn plan(&self, _prepared: PreparedId) -> Option<&Plan> {
        None
    }

    /// What a tap holds after all that is queued so far (f32 bytes). The recording must have been prepared with `keep_taps`.
    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture;

    /// The plan of a prepared recording as text, a line a dispatch; for `-v` and tests.
    fn describe(&self, prepared: PreparedId) -> String;

    /// Whether reads wait on the run's clock by themselves, for as long as the work would take on a device that is not here.
    /// Then virtual time must not be held while they are waited for.
    fn charges_time(&self) -> bool {
        false
    }

    /// Bytes held now: tensors and temporaries.
    fn memory_bytes(&self) -> u64;
}

/// A thought is not open.
pub const NO_THOUGHT: u32 = u32::MAX;

/// The state of the sequence that is being fed, as kernels read it. One storage buffer of u32 words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct State {
    /// Tokens in the KV cache before this chunk or step.
    pub kv_len: u32,
    /// Tokens of this chunk or step; 0 turns a step into a no-op.
    pub n_tokens: u32,
    /// M-RoPE position of the next sampled token (all three axes).
    pub position: u32,
    pub done: u32,
    /// Tokens sampled in this answer.
    pub step: u32,
    pub max_steps: u32,
    pub seed: [u32; 2],
    pub last_id: u32,
    /// Thought tokens left before the thought is closed by force, or [`NO_THOUGHT`].
    pub think_left: u32,
    pub think_end: u32,
    pub pad: u32,
}
