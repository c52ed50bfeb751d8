//! The real GPU: plays plans as WGSL dispatches. Pipelines, bind groups and temporaries are made when a recording is
//! prepared; playing encodes one compute pass and submits it.

mod adapter;
mod calibrate;
mod fault;
#[cfg(not(target_arch = "wasm32"))]
mod ordered;
mod pipelines;
mod prepared;
mod reader;
mod timed;

use std::collections::BTreeMap;
use std::ops::Range;

pub use adapter::{AdapterChoice, list_adapters};
pub use calibrate::Measured;
use fault::Faults;
use pipelines::Pipelines;
use prepared::{Lender, Prepared};
use reader::Reader;

use super::choose::Tunable;
use super::{Adapter, Engine, PreparedId, ReadFuture, StampsFuture, TimesFuture};
use crate::error::{Error, Result};
use crate::kernel::padded_bytes;
use crate::plan::{Plan, Variants, lower_with};
use crate::recording::Recording;
use crate::tensor::TensorId;

/// Bytes that one write hands to the queue before it submits, so that uploads do not pile up in host memory.
const WRITE_BYTES: usize = 16 << 20;

/// A tensor and the size that was asked for, in whole words.
struct Tensor {
    buffer: ::wgpu::Buffer,
    size_bytes: u64,
}

/// An engine on one wgpu device.
pub struct WgpuEngine {
    adapter: Adapter,
    variants: Variants,
    device: ::wgpu::Device,
    queue: ::wgpu::Queue,
    faults: Faults,
    reader: Reader,
    pipelines: Pipelines,
    lender: Lender,
    tensors: BTreeMap<TensorId, Tensor>,
    prepared: BTreeMap<PreparedId, Prepared>,
    next_id: u64,
    /// Bytes written since the last submission.
    unsubmitted_bytes: usize,
}

impl WgpuEngine {
    /// Opens an adapter.
    ///
    /// Errors: `NoAdapter`; `AdapterTooSmall`; `Engine` if the device does not open.
    pub async fn new(choice: AdapterChoice) -> Result<Self> {
        let (adapter, device, queue) = adapter::open(&choice).await?;
        let faults = Faults::watch(&device);
        tracing::info!(adapter = adapter.name, backend = adapter.backend, "device opened");
        Ok(Self {
            variants: Variants::of(&adapter),
            reader: Reader::new(device.clone(), queue.clone(), faults.clone())?,
            pipelines: Pipelines::new(device.clone(), choice.checked),
            lender: Lender::default(),
            tensors: BTreeMap::new(),
            prepared: BTreeMap::new(),
            next_id: 1,
            unsubmitted_bytes: 0,
            adapter,
            device,
            queue,
            faults,
        })
    }

    /// The algorithms that recordings are lowered with.
    pub fn variants(&self) -> &Variants {
        &self.variants
    }

    /// Lowers what is prepared from now on with these algorithms.
    pub fn set_variants(&mut self, variants: Variants) {
        self.variants = variants;
    }

    /// Gives the device up at once, as a driver that resets does. For tests of what follows a loss.
    pub fn destroy_device(&self) {
        self.device.destroy();
    }

    /// What went wrong since the last call, if anything did.
    ///
    /// Errors: `DeviceLost`, `OutOfMemory`, `Engine`.
    fn alive(&self, what: &'static str) -> Result<()> {
        // A loss is only said to those who ask. In a browser this does nothing, and nothing is needed.
        let asked = self.device.poll(::wgpu::PollType::Poll);
        self.faults.check(what, "", 0)?;
        match asked {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Engine {
                what,
                message: error.to_string(),
            }),
        }
    }

    fn tensor(&self, what: &'static str, id: TensorId) -> Result<&Tensor> {
        self.tensors.get(&id).ok_or_else(|| Error::Engine {
            what,
            message: format!("there is no tensor {}", id.0),
        })
    }

    /// The tensor, if the range lies within it in whole words.
    fn range(&self, what: &'static str, id: TensorId, offset: u64, size_bytes: u64) -> Result<&Tensor> {
        let tensor = self.tensor(what, id)?;
        let within = offset.checked_add(size_bytes).is_some_and(|end| end <= tensor.size_bytes);
        if within && offset.is_multiple_of(4) && size_bytes.is_multiple_of(4) {
            return Ok(tensor);
        }
        Err(Error::Engine {
            what,
            message: format!("{size_bytes} bytes at {offset} of tensor {} of {}", id.0, tensor.size_bytes),
        })
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn prepared(&self, what: &'static str, id: PreparedId) -> Result<&Prepared> {
        self.prepared.get(&id).ok_or_else(|| Error::Engine {
            what,
            message: format!("there is no prepared recording {}", id.0),
        })
    }
}

impl Tunable for WgpuEngine {
    fn variants(&self) -> &Variants {
        &self.variants
    }

    fn set_variants(&mut self, variants: Variants) {
        Self::set_variants(self, variants);
    }

    fn compile_ahead(&mut self, recordings: &[Recording], variants: &[Variants]) {
        let adapter = &self.adapter;
        let plans = recordings.iter().flat_map(|recording| {
            let lowered = variants.iter().map(move |variants| lower_with(recording, adapter, variants));
            lowered.filter_map(Result::ok)
        });
        let plans: Vec<Plan> = plans.collect();
        let made = self.pipelines.make(plans.iter().flat_map(|plan| &plan.dispatches));
        // Whoever prepares what could not be made is told then.
        let checked = self.faults.check("compile", "", 0);
        if let Err(error) = made.and(checked) {
            tracing::warn!(%error, "not everything could be compiled ahead");
        }
    }
}

impl Engine for WgpuEngine {
    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        self.alive("create")?;
        let size_bytes = size_bytes.max(1).next_multiple_of(4);
        let padded = padded_bytes(size_bytes);
        if padded > self.adapter.max_buffer_bytes {
            return Err(Error::AdapterTooSmall {
                adapter: self.adapter.name.clone(),
                limit: "buffer size",
                found: self.adapter.max_buffer_bytes,
                needed: padded,
            });
        }
        let buffer = self.device.create_buffer(&::wgpu::BufferDescriptor {
            label: Some(name),
            size: padded,
            usage: ::wgpu::BufferUsages::STORAGE | ::wgpu::BufferUsages::COPY_SRC | ::wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.faults.check("tensor", name, padded)?;
        let id = TensorId(self.next_id());
        self.tensors.insert(id, Tensor { buffer, size_bytes });
        Ok(id)
    }

    fn release(&mut self, tensor: TensorId) {
        self.tensors.remove(&tensor);
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.alive("write")?;
        let buffer = self.range("write", tensor, offset, bytes.len() as u64)?.buffer.clone();
        let mut at = offset;
        for piece in bytes.chunks(WRITE_BYTES) {
            self.queue.write_buffer(&buffer, at, piece);
            at += piece.len() as u64;
            self.unsubmitted_bytes += piece.len();
            if self.unsubmitted_bytes >= WRITE_BYTES {
                self.unsubmitted_bytes = 0;
                self.queue.submit([]);
            }
        }
        self.faults.check("write", "", bytes.len() as u64)
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        self.alive("copy")?;
        let source = self.range("copy", from, from_offset, size_bytes)?;
        let target = self.range("copy", to, to_offset, size_bytes)?;
        if size_bytes == 0 {
            return Ok(());
        }
        let mut encoder = self
            .device
            .create_command_encoder(&::wgpu::CommandEncoderDescriptor { label: Some("copy") });
        if from == to {
            // WebGPU does not copy within one buffer.
            let between = self.device.create_buffer(&::wgpu::BufferDescriptor {
                label: Some("copy"),
                size: size_bytes,
                usage: ::wgpu::BufferUsages::COPY_SRC | ::wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            encoder.copy_buffer_to_buffer(&source.buffer, from_offset, &between, 0, size_bytes);
            encoder.copy_buffer_to_buffer(&between, 0, &target.buffer, to_offset, size_bytes);
        } else {
            encoder.copy_buffer_to_buffer(&source.buffer, from_offset, &target.buffer, to_offset, size_bytes);
        }
        self.queue.submit([encoder.finish()]);
        self.faults.check("copy", "", size_bytes)
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        let checked = self.alive("read");
        match checked.and_then(|()| self.range("read", tensor, offset, size_bytes)) {
            Err(error) => Box::pin(async { Err(error) }),
            Ok(_) if size_bytes == 0 => Box::pin(async { Ok(Vec::new()) }),
            Ok(tensor) => self.reader.read(&tensor.buffer, offset, size_bytes),
        }
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        self.alive("prepare")?;
        let plan = lower_with(&recording, &self.adapter, &self.variants)?;
        let tensors = &self.tensors;
        let prepared = Prepared::new(
            &recording,
            plan,
            &self.device,
            &self.queue,
            &mut self.pipelines,
            &mut self.lender,
            |id| tensors.get(&id).map(|tensor| &tensor.buffer),
        )?;
        if let Err(error) = self.faults.check("prepare", &recording.name, prepared.temp_bytes()) {
            prepared.give_back(&mut self.lender);
            return Err(error);
        }
        let id = PreparedId(self.next_id());
        self.prepared.insert(id, prepared);
        Ok(id)
    }

    fn discard(&mut self, prepared: PreparedId) {
        if let Some(prepared) = self.prepared.remove(&prepared) {
            prepared.give_back(&mut self.lender);
        }
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.prepared.get(&prepared).map_or(1, |prepared| prepared.plan.slices.len())
    }

    fn play_slice(&mut self, prepared: PreparedId, slice: usize) -> Result<()> {
        self.play_slices(prepared, slice..slice + 1)
    }

    /// In one submission.
    fn play_slices(&mut self, prepared: PreparedId, slices: Range<usize>) -> Result<()> {
        self.alive("play")?;
        let prepared = self.prepared("play", prepared)?;
        let mut encoder = self.device.create_command_encoder(&::wgpu::CommandEncoderDescriptor {
            label: Some(&prepared.plan.name),
        });
        for slice in slices {
            prepared::encode(&mut encoder, prepared.gate(slice), prepared.steps(slice)?);
        }
        self.queue.submit([encoder.finish()]);
        self.unsubmitted_bytes = 0;
        self.faults.check("play", "", 0)
    }

    /// In one submission: the device goes from one to the next without waiting for the queue.
    fn play_times(&mut self, prepared: PreparedId, n: u32) -> Result<()> {
        self.alive("play")?;
        let prepared = self.prepared("play", prepared)?;
        let mut encoder = self.device.create_command_encoder(&::wgpu::CommandEncoderDescriptor {
            label: Some(&prepared.plan.name),
        });
        for _ in 0..n {
            for slice in 0..prepared.plan.slices.len() {
                prepared::encode(&mut encoder, prepared.gate(slice), prepared.steps(slice)?);
            }
        }
        self.queue.submit([encoder.finish()]);
        self.unsubmitted_bytes = 0;
        self.faults.check("play", "", 0)
    }

    fn play_timed(&mut self, prepared: PreparedId) -> TimesFuture {
        let alive = self.alive("play");
        match alive.and_then(|()| self.prepared("play", prepared)) {
            Err(error) => Box::pin(async { Err(error) }),
            Ok(prepared) => timed::play(&self.device, &self.queue, &self.reader, prepared),
        }
    }

    fn play_stamped(&mut self, prepared: PreparedId, slice: usize) -> Result<StampsFuture> {
        self.alive("play")?;
        let found = self.prepared("play", prepared)?;
        match timed::play_slice(&self.device, &self.queue, &self.reader, found, slice)? {
            Some(stamps) => {
                self.unsubmitted_bytes = 0;
                self.faults.check("play", "", 0)?;
                Ok(stamps)
            }
            None => {
                self.play_slice(prepared, slice)?;
                Ok(Box::pin(async { Ok(None) }))
            }
        }
    }

    fn plan(&self, prepared: PreparedId) -> Option<&Plan> {
        self.prepared.get(&prepared).map(|prepared| &prepared.plan)
    }

    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture {
        let found = self
            .faults
            .check("read_tap", "", 0)
            .and_then(|()| self.prepared("read_tap", prepared));
        match found.and_then(|prepared| prepared.tap(name)) {
            Err(error) => Box::pin(async { Err(error) }),
            Ok(None) => Box::pin(async { Ok(Vec::new()) }),
            Ok(Some((buffer, size_bytes))) => self.reader.read(buffer, 0, size_bytes),
        }
    }

    fn describe(&self, prepared: PreparedId) -> String {
        self.prepared
            .get(&prepared)
            .map(|prepared| prepared.plan.to_string())
            .unwrap_or_default()
    }

    fn memory_bytes(&self) -> u64 {
        let tensors: u64 = self.tensors.values().map(|tensor| tensor.buffer.size()).sum();
        let own: u64 = self.prepared.values().map(Prepared::own_bytes).sum();
        tensors + own + self.lender.bytes()
    }
}
