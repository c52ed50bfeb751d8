//! An engine that counts what is asked of it, for benchmarks through the very actor that answers use.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gpu::Result;
use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture, TimesFuture};
use gpu::kernel::cost::Cost;
use gpu::plan::Plan;
use gpu::recording::{Op, Recording};
use gpu::tensor::TensorId;
use sim::timing::Profile;

/// What an engine was asked for so far. Only ever grows.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Tensors and recordings that were made: nothing of it may happen while steps are decoded.
    pub created: u64,
    pub prepared: u64,
    /// Slices of each recording that were played, by its name.
    pub plays: BTreeMap<String, u64>,
    /// Time inside `play_slice`: encoding and submitting.
    pub playing: Duration,
    /// Of each recording that was prepared, by its name.
    pub plans: BTreeMap<String, PlanCost>,
}

/// What a plan has to do.
#[derive(Clone, Debug, Default)]
pub struct PlanCost {
    pub size: PlanSize,
    /// Of each dispatch.
    pub costs: Vec<Cost>,
}

impl PlanCost {
    /// Bytes that are touched with `n` tokens in the cache.
    pub fn bytes(&self, n: usize) -> u64 {
        self.costs.iter().map(|cost| cost.touched_bytes(n)).sum()
    }

    /// Seconds that no engine can undercut on a device of this profile: each dispatch's bytes through its memory, or its
    /// operations on its fastest unit.
    pub fn least_s(&self, profile: &Profile, n: usize) -> f64 {
        let rates = profile.rates;
        let fastest = rates.f32.max(rates.f16).max(rates.int8).max(rates.matrix) * 1e12;
        let least = |cost: &Cost| {
            let operations: u64 = cost.operations.iter().map(|amount| amount.at(n)).sum();
            let bytes = cost.touched_bytes(n) as f64;
            (bytes / (profile.memory.bandwidth_gb_s * 1e9)).max(operations as f64 / fastest)
        };
        self.costs.iter().map(least).sum()
    }

    /// On all units, with `n` tokens in the cache.
    pub fn operations(&self, n: usize) -> u64 {
        let amounts = self.costs.iter().flat_map(|cost| &cost.operations);
        amounts.map(|amount| amount.at(n)).sum()
    }
}

/// How many dispatches a plan has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanSize {
    pub dispatches: usize,
    /// Pieces that it is played in.
    pub slices: usize,
    /// From one append to the KV cache to the next, the last two: what a step does once it does with its first layer. 0 where
    /// there are fewer than two.
    pub a_layer: usize,
}

/// Shared by an engine's observer and whoever measures.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Counts>>);

impl Seen {
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// An engine and its recordings.
pub struct Observed<E> {
    engine: E,
    seen: Seen,
    recordings: BTreeMap<PreparedId, Arc<Recording>>,
}

impl<E: Engine> Observed<E> {
    pub fn new(engine: E, seen: Seen) -> Self {
        Self {
            engine,
            seen,
            recordings: BTreeMap::new(),
        }
    }

    /// Counts `n` slices of a recording that are played, and the time that queueing them takes.
    fn timed(&mut self, prepared: PreparedId, n: u32, play: impl FnOnce(&mut E) -> Result<()>) -> Result<()> {
        let started = Instant::now();
        let played = play(&mut self.engine);
        let took = started.elapsed();
        let name = self.recordings.get(&prepared).map(|recording| recording.name.as_str());
        let name = name.unwrap_or_default();
        self.seen.note(|counts| {
            counts.playing += took;
            // No allocation of ours in the loop that is measured.
            match counts.plays.get_mut(name) {
                Some(plays) => *plays += u64::from(n),
                None => drop(counts.plays.insert(name.to_owned(), n.into())),
            }
        });
        played
    }

    pub fn recording(&self, prepared: PreparedId) -> Option<Arc<Recording>> {
        self.recordings.get(&prepared).cloned()
    }
}

/// Counts a plan's dispatches.
pub fn plan_size(recording: &Recording, plan: &Plan) -> PlanSize {
    let appends = (0..).zip(&recording.ops).filter(|(_, op)| matches!(op, Op::KvAppend { .. }));
    let appends: Vec<usize> = appends.map(|(idx, _)| idx).collect();
    let a_layer = match appends[..] {
        [.., before, last] => {
            let of_layer = |op_idx: usize| before < op_idx && op_idx <= last;
            plan.dispatches.iter().filter(|dispatch| of_layer(dispatch.op_idx)).count()
        }
        _ => 0,
    };
    PlanSize {
        dispatches: plan.dispatches.len(),
        slices: plan.slices.len(),
        a_layer,
    }
}

impl<E: Engine> Engine for Observed<E> {
    fn adapter(&self) -> &Adapter {
        self.engine.adapter()
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        self.seen.note(|counts| counts.created += 1);
        self.engine.create(name, size_bytes)
    }

    fn release(&mut self, tensor: TensorId) {
        self.engine.release(tensor);
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.engine.write(tensor, offset, bytes)
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        self.engine.copy(from, from_offset, to, to_offset, size_bytes)
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        self.engine.read(tensor, offset, size_bytes)
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        let kept = Arc::new(recording.clone());
        let prepared = self.engine.prepare(recording)?;
        let cost = self.engine.plan(prepared).map(|plan| PlanCost {
            size: plan_size(&kept, plan),
            costs: plan.dispatches.iter().map(|dispatch| dispatch.cost.clone()).collect(),
        });
        self.seen.note(|counts| {
            counts.prepared += 1;
            counts.plans.insert(kept.name.clone(), cost.unwrap_or_default());
        });
        self.recordings.insert(prepared, kept);
        Ok(prepared)
    }

    fn discard(&mut self, prepared: PreparedId) {
        self.recordings.remove(&prepared);
        self.engine.discard(prepared);
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.engine.n_slices(prepared)
    }

    fn play_slice(&mut self, prepared: PreparedId, slice: usize) -> Result<()> {
        self.timed(prepared, 1, |engine| engine.play_slice(prepared, slice))
    }

    fn play_slices(&mut self, prepared: PreparedId, slices: Range<usize>) -> Result<()> {
        let n = slices.len() as u32;
        self.timed(prepared, n, |engine| engine.play_slices(prepared, slices))
    }

    fn play_times(&mut self, prepared: PreparedId, n: u32) -> Result<()> {
        let slices = n * self.engine.n_slices(prepared) as u32;
        self.timed(prepared, slices, |engine| engine.play_times(prepared, n))
    }

    fn play_timed(&mut self, prepared: PreparedId) -> TimesFuture {
        self.engine.play_timed(prepared)
    }

    fn plan(&self, prepared: PreparedId) -> Option<&Plan> {
        self.engine.plan(prepared)
    }

    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture {
        self.engine.read_tap(prepared, name)
    }

    fn describe(&self, prepared: PreparedId) -> String {
        self.engine.describe(prepared)
    }

    fn memory_bytes(&self) -> u64 {
        self.engine.memory_bytes()
    }
}
