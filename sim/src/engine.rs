//! [`SimEngine`]: the engine trait on CPU twins. Plays at once what a GPU would queue; if it stands for a GPU of some profile,
//! the run's clock is charged what that GPU would take.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture};
use gpu::plan::lower_with;
use gpu::recording::{Buffer, Op, Place, Recording};
use gpu::tensor::TensorId;
use gpu::{Error, Result};
use pipeline::time::Clock;

use crate::charge::{Charge, Charged};
use crate::check::check;
use crate::fast::weights::WeightCache;
use crate::memory::{Pool, Tensors, Words};
use crate::operands;
use crate::play::Frame;
use crate::timing::Device;

/// What an operation is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// The twins as they are written: the oracle.
    Plain,
    /// Blocked, vectorised, on all cores; held against the twins by tests.
    Fast,
}

/// Memory of dead temporaries that is kept for the next ones.
const POOL_BYTES: u64 = 256 << 20;

/// An engine without a GPU.
pub struct SimEngine {
    adapter: Adapter,
    kernels: Kernels,
    tensors: Tensors,
    pool: Pool,
    weights: WeightCache,
    prepared: BTreeMap<PreparedId, Prepared>,
    next_id: u64,
    charge: Option<Charge>,
}

struct Prepared {
    recording: Recording,
    slices: Vec<Range<usize>>,
    /// Temporaries that no later operation reads, by operation.
    dead_after: Vec<Vec<Buffer>>,
    /// Memory of live temporaries, by buffer.
    temps: Vec<Option<Words>>,
    /// The state that turns the whole recording into nothing when its `n_tokens` is 0.
    idle: Option<Buffer>,
    /// The state that says how many tokens are in the KV cache.
    state: Option<Buffer>,
    charged: Option<Charged>,
}

impl SimEngine {
    pub fn new(kernels: Kernels) -> Self {
        let n_threads = rayon::current_num_threads();
        // A quarter of the address space or of what an allocation may be, whichever engine this is built for.
        let max_bytes = 1 << 30;
        Self {
            adapter: Adapter {
                name: match kernels {
                    Kernels::Plain => "CPU twins, plain".to_owned(),
                    Kernels::Fast => format!("CPU twins, {n_threads} threads"),
                },
                driver: format!("sim {}", env!("CARGO_PKG_VERSION")),
                backend: "sim".to_owned(),
                software: true,
                max_binding_bytes: max_bytes,
                max_buffer_bytes: max_bytes,
                max_workgroups: 65_535,
                max_invocations: 256,
                workgroup_memory_bytes: 16_384,
                storage_buffers: 8,
                shader_f16: true,
                subgroups: None,
                ..Adapter::plain("sim")
            },
            kernels,
            tensors: Tensors::default(),
            pool: Pool::new(POOL_BYTES),
            weights: WeightCache::default(),
            prepared: BTreeMap::new(),
            next_id: 0,
            charge: None,
        }
    }

    /// An engine that has a device's limits and takes a device's time: what is read arrives when `clock`, if it is virtual,
    /// reads what the device would have taken. The numbers are the twins' as ever.
    pub fn charging(kernels: Kernels, device: Device, clock: Clock) -> Self {
        Self {
            adapter: Adapter {
                driver: "sim".to_owned(),
                ..device.profile.adapter()
            },
            charge: Some(Charge::new(device, clock)),
            ..Self::new(kernels)
        }
    }

    /// A tensor that another engine has too, under its id there; zeros, unless it is there already.
    pub(crate) fn adopt(&mut self, id: TensorId, size_bytes: u64) -> Result<()> {
        self.tensors.adopt(id, "a tensor of both sides", size_bytes)
    }

    pub(crate) fn has(&self, tensor: TensorId) -> bool {
        self.tensors.has(tensor)
    }

    /// What a tensor holds.
    pub(crate) fn words(&self, tensor: TensorId, offset: u64, size_bytes: u64) -> Result<&[u32]> {
        self.tensors.range(tensor, offset, size_bytes)
    }

    /// As [`Engine::prepare`], for a part of a recording: nothing is looked at but what its operations read.
    pub(crate) fn prepare_part(&mut self, recording: Recording) -> Result<PreparedId> {
        let id = self.prepare(recording)?;
        if let Some(prepared) = self.prepared.get_mut(&id) {
            (prepared.idle, prepared.state) = (None, None);
        }
        Ok(id)
    }

    fn prepared(&self, id: PreparedId) -> Result<&Prepared> {
        self.prepared.get(&id).ok_or_else(|| unknown(id))
    }

    fn tap(&self, id: PreparedId, name: &str) -> Result<Vec<u8>> {
        let missing = |message: &str| Error::Engine {
            what: "tap",
            message: format!("{name}: {message}"),
        };
        let prepared = self.prepared(id)?;
        let recording = &prepared.recording;
        let &tap = recording.taps.get(name).ok_or_else(|| missing("no such tap"))?;
        let (info, root) = (recording.info(tap), recording.root(tap));
        let words = match recording.info(root).place {
            Place::Bound(tensor) => &self.tensors.get(tensor)?.words,
            _ if !recording.keep_taps => return Err(missing("taps were not kept")),
            _ => prepared.temps[root.0 as usize]
                .as_ref()
                .ok_or_else(|| missing("not played yet"))?,
        };
        let n_words = (info.dtype.size_bytes(info.shape.n()) / 4) as usize;
        let words = words.get(..n_words).ok_or_else(|| missing("not whole"))?;
        Ok(bytemuck::cast_slice(words).to_vec())
    }
}

impl Default for SimEngine {
    fn default() -> Self {
        Self::new(Kernels::Fast)
    }
}

impl Engine for SimEngine {
    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        self.tensors.create(name, size_bytes)
    }

    fn release(&mut self, tensor: TensorId) {
        self.tensors.release(tensor);
        self.weights.forget(tensor);
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        let words = self.tensors.range_mut(tensor, offset, bytes.len() as u64)?;
        bytemuck::cast_slice_mut(words).copy_from_slice(bytes);
        if let Some(charge) = &mut self.charge {
            charge.write(bytes.len());
        }
        Ok(())
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        let words = self.tensors.range(from, from_offset, size_bytes)?.to_vec();
        self.tensors.range_mut(to, to_offset, size_bytes)?.copy_from_slice(&words);
        Ok(())
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        let words = self.tensors.range(tensor, offset, size_bytes);
        let bytes = words.map(|words| bytemuck::cast_slice(words).to_vec());
        let read: ReadFuture = Box::pin(std::future::ready(bytes));
        match &self.charge {
            Some(charge) => charge.delay(read),
            None => read,
        }
    }

    fn charges_time(&self) -> bool {
        self.charge.is_some()
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        check(&recording, &self.tensors)?;
        let charged = match &self.charge {
            Some(charge) => Some(Charged::new(lower_with(
                &recording,
                &self.adapter,
                &charge.device.profile.variants(),
            )?)),
            None => None,
        };
        self.next_id += 1;
        let id = PreparedId(self.next_id);
        let prepared = Prepared {
            charged,
            ..Prepared::new(recording)
        };
        self.prepared.insert(id, prepared);
        Ok(id)
    }

    fn discard(&mut self, prepared: PreparedId) {
        for words in self.prepared.remove(&prepared).into_iter().flat_map(|p| p.temps) {
            self.pool.give(words.unwrap_or_default());
        }
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.prepared(prepared).map_or(1, |p| p.slices.len())
    }

    fn play_slice(&mut self, id: PreparedId, slice: usize) -> Result<()> {
        let prepared = self.prepared.get_mut(&id).ok_or_else(|| unknown(id))?;
        let ops = prepared.slices.get(slice).ok_or_else(|| unknown(id))?.clone();
        let recording = &prepared.recording;
        let mut frame = Frame {
            recording,
            tensors: &mut self.tensors,
            temps: &mut prepared.temps,
            pool: &mut self.pool,
            weights: &mut self.weights,
            kernels: self.kernels,
        };
        if slice == 0 {
            // Taps of the last time, and what a play that was given up left behind.
            (0..recording.buffers.len()).for_each(|i| frame.free(Buffer(i as u32)));
        }
        let n_cached = match prepared.state {
            Some(state) => frame.state(state)?.kv_len as usize,
            None => 0,
        };
        let nothing = match prepared.idle {
            Some(state) => frame.state(state)?.n_tokens == 0,
            None => false,
        };
        if let (Some(charge), Some(charged)) = (&mut self.charge, &mut prepared.charged) {
            match nothing {
                true => charge.play_nothing(charged, slice),
                false => charge.play(charged, slice, n_cached),
            }
        }
        if nothing {
            return Ok(());
        }
        // On a thread of the pool, so that no operation has to wake one and wait for it.
        rayon::scope(|_| {
            for i in ops {
                frame.play(&recording.ops[i])?;
                prepared.dead_after[i].iter().for_each(|&buffer| frame.free(buffer));
            }
            Ok(())
        })
    }

    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture {
        Box::pin(std::future::ready(self.tap(prepared, name)))
    }

    fn describe(&self, prepared: PreparedId) -> String {
        let Ok(prepared) = self.prepared(prepared) else {
            return String::new();
        };
        let recording = &prepared.recording;
        let mut text = format!("{}: {} operations\n", recording.name, recording.ops.len());
        for (i, op) in recording.ops.iter().enumerate() {
            let shapes = |buffers: Vec<Buffer>| {
                let shapes = buffers.iter().map(|&b| recording.shape(b).to_string());
                shapes.collect::<Vec<_>>().join(" ")
            };
            let cut = if recording.cuts.contains(&i) { "| " } else { "  " };
            let weight = operands::weight(op).map_or(String::new(), |weight| {
                format!(" {} {} [{}, {}]", weight.name, weight.format.name(), weight.n, weight.k)
            });
            let (reads, writes) = (shapes(operands::reads(op)), shapes(operands::writes(op)));
            text += &format!("{cut}{i:4} {} {reads}{weight} -> {writes}\n", op.name());
        }
        text
    }

    fn memory_bytes(&self) -> u64 {
        let temps = self.prepared.values().flat_map(|p| p.temps.iter().flatten());
        let temp_bytes = temps.map(|words| words.len() as u64 * 4).sum::<u64>();
        self.tensors.size_bytes() + self.pool.size_bytes() + self.weights.size_bytes() + temp_bytes
    }
}

impl Prepared {
    fn new(recording: Recording) -> Self {
        let mut slices = recording.slices();
        if slices.is_empty() {
            slices.push(0..0);
        }
        Self {
            slices,
            dead_after: dead_after(&recording),
            temps: vec![None; recording.buffers.len()],
            idle: idle_state(&recording),
            state: recording.ops.iter().find_map(|op| match op {
                Op::CachedAttention { state, .. } => Some(*state),
                _ => None,
            }),
            charged: None,
            recording,
        }
    }
}

/// Temporaries that no later operation reads, by operation; taps that are kept live on.
fn dead_after(recording: &Recording) -> Vec<Vec<Buffer>> {
    let mut last_use = HashMap::new();
    for (i, op) in recording.ops.iter().enumerate() {
        for buffer in operands::reads(op).into_iter().chain(operands::writes(op)) {
            last_use.insert(recording.root(buffer), i);
        }
    }
    if recording.keep_taps {
        for &tap in recording.taps.values() {
            last_use.remove(&recording.root(tap));
        }
    }
    let mut dead_after = vec![Vec::new(); recording.ops.len()];
    for (buffer, i) in last_use {
        if recording.info(buffer).place == Place::Temp {
            dead_after[i].push(buffer);
        }
    }
    dead_after
}

/// A decoding step that was fed nothing changes nothing: the state to look at, if all that the recording writes besides
/// temporaries is written by operations which do nothing then.
fn idle_state(recording: &Recording) -> Option<Buffer> {
    let mut state = None;
    for op in &recording.ops {
        match op {
            Op::Sample(sample) => state = Some(sample.state),
            Op::KvAppend { .. } => {}
            _ => {
                let lasting = |&b: &Buffer| recording.info(recording.root(b)).place != Place::Temp;
                if operands::writes(op).iter().any(lasting) {
                    return None;
                }
            }
        }
    }
    state.filter(|_| !recording.keep_taps)
}

fn unknown(id: PreparedId) -> Error {
    Error::Engine {
        what: "play",
        message: format!("recording {} or its slice is not there", id.0),
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
