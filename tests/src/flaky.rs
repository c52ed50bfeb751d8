//! An engine that fails when a test says so: its device is lost, or one call finds no memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture};
use gpu::recording::Recording;
use gpu::tensor::TensorId;
use gpu::{Error, Result};

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This call and all that follow fail, and so do reads under way.
    Lost,
    /// This call fails.
    OutOfMemory,
}

/// Which calls fail, counted over all engines that share the plan, from 1. Clones are the same plan.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    faults: Mutex<BTreeMap<usize, Fault>>,
    happened: AtomicUsize,
    held: AtomicUsize,
    engines: AtomicUsize,
}

impl FaultPlan {
    /// Devices are lost at these calls.
    pub fn losing(calls: impl IntoIterator<Item = usize>) -> Self {
        let plan = Self::default();
        plan.faults().extend(calls.into_iter().map(|call| (call, Fault::Lost)));
        plan
    }

    /// The `n`-th call from now fails.
    pub fn after(&self, n: usize, fault: Fault) {
        self.faults().insert(self.calls() + n, fault);
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Faults so far.
    pub fn happened(&self) -> usize {
        self.0.happened.load(Ordering::SeqCst)
    }

    /// Engines that were made so far.
    pub fn engines(&self) -> usize {
        self.0.engines.load(Ordering::SeqCst)
    }

    /// Tensors and prepared recordings on the newest engine.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Fault>> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call.
    fn next(&self) -> Option<Fault> {
        let call = self.0.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = self.faults().remove(&call);
        if fault.is_some() {
            self.0.happened.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }
}

/// See the file's head.
pub struct Flaky<E> {
    engine: E,
    plan: FaultPlan,
    lost: Arc<AtomicBool>,
    /// Loses the device of the engine inside, which then says so itself.
    lose: Option<fn(&E)>,
    tensors: BTreeSet<TensorId>,
    prepared: BTreeSet<PreparedId>,
}

impl<E: Engine> Flaky<E> {
    /// Feigns losses.
    pub fn new(engine: E, plan: FaultPlan) -> Self {
        plan.0.engines.fetch_add(1, Ordering::SeqCst);
        plan.0.held.store(0, Ordering::SeqCst);
        Self {
            engine,
            plan,
            lost: Arc::default(),
            lose: None,
            tensors: BTreeSet::new(),
            prepared: BTreeSet::new(),
        }
    }

    /// Losses are real: `lose` is called, and the engine finds out.
    pub fn losing_with(engine: E, plan: FaultPlan, lose: fn(&E)) -> Self {
        Self {
            lose: Some(lose),
            ..Self::new(engine, plan)
        }
    }

    fn call(&self) -> Result<()> {
        let lost = || Error::DeviceLost {
            message: "it was to be lost".into(),
        };
        if self.lost.load(Ordering::SeqCst) {
            return Err(lost());
        }
        match (self.plan.next(), self.lose) {
            (None, _) => Ok(()),
            (Some(Fault::Lost), Some(lose)) => {
                lose(&self.engine);
                Ok(())
            }
            (Some(Fault::Lost), None) => {
                self.lost.store(true, Ordering::SeqCst);
                Err(lost())
            }
            (Some(Fault::OutOfMemory), _) => Err(Error::OutOfMemory {
                what: "a test".into(),
                size_bytes: 1,
            }),
        }
    }

    /// What was read, unless the device is lost by the time it arrives.
    fn watched(&mut self, read: impl FnOnce(&mut E) -> ReadFuture) -> ReadFuture {
        if let Err(error) = self.call() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let (read, lost) = (read(&mut self.engine), self.lost.clone());
        Box::pin(async move {
            let bytes = read.await?;
            if lost.load(Ordering::SeqCst) {
                return Err(Error::DeviceLost {
                    message: "it was lost while this was read".into(),
                });
            }
            Ok(bytes)
        })
    }

    fn count(&self) {
        let held = self.tensors.len() + self.prepared.len();
        self.plan.0.held.store(held, Ordering::SeqCst);
    }
}

impl<E: Engine> Engine for Flaky<E> {
    fn adapter(&self) -> &Adapter {
        self.engine.adapter()
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        self.call()?;
        let tensor = self.engine.create(name, size_bytes)?;
        self.tensors.insert(tensor);
        self.count();
        Ok(tensor)
    }

    fn release(&mut self, tensor: TensorId) {
        self.engine.release(tensor);
        self.tensors.remove(&tensor);
        self.count();
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.call()?;
        self.engine.write(tensor, offset, bytes)
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        self.call()?;
        self.engine.copy(from, from_offset, to, to_offset, size_bytes)
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        self.watched(|engine| engine.read(tensor, offset, size_bytes))
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        self.call()?;
        let prepared = self.engine.prepare(recording)?;
        self.prepared.insert(prepared);
        self.count();
        Ok(prepared)
    }

    fn discard(&mut self, prepared: PreparedId) {
        self.engine.discard(prepared);
        self.prepared.remove(&prepared);
        self.count();
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.engine.n_slices(prepared)
    }

    fn play_slice(&mut self, prepared: PreparedId, slice: usize) -> Result<()> {
        self.call()?;
        self.engine.play_slice(prepared, slice)
    }

    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture {
        self.watched(|engine| engine.read_tap(prepared, name))
    }

    fn describe(&self, prepared: PreparedId) -> String {
        self.engine.describe(prepared)
    }

    fn memory_bytes(&self) -> u64 {
        self.engine.memory_bytes()
    }
}
