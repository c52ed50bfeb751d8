//! [`Mixed`]: operations below a size on CPU twins, the others on a real engine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture};
use gpu::recording::Recording;
use gpu::tensor::TensorId;
use gpu::{Error, Result};

use super::queue::{Command, Parts, Queue};
use super::split::{Split, Step, Touch, split};
use super::traffic::TrafficHandle;
use crate::{Kernels, SimEngine};

/// See the file's head. Its tensors are the real engine's, under the ids that it gave; the simulated side has copies of those
/// that its operations touch.
pub struct Mixed<R> {
    adapter: Adapter,
    /// Operations of fewer bytes are simulated: see [`super::size_bytes`].
    simulate_below: u64,
    queue: Rc<RefCell<Queue<R>>>,
    prepared: BTreeMap<PreparedId, Prepared>,
    next_id: u64,
}

struct Prepared {
    name: String,
    parts: Rc<Parts>,
    taps: BTreeMap<String, Touch>,
}

impl<R: Engine> Mixed<R> {
    /// `simulate_below` in bytes of all operands of an operation; 0 simulates nothing. Adds what it does to `traffic`.
    pub fn new(real: R, kernels: Kernels, simulate_below: u64, traffic: TrafficHandle) -> Self {
        let queue = Queue::new(real, SimEngine::new(kernels), traffic);
        Self {
            adapter: queue.real.adapter().clone(),
            simulate_below,
            queue: Rc::new(RefCell::new(queue)),
            prepared: BTreeMap::new(),
            next_id: 0,
        }
    }

    fn prepared(&self, id: PreparedId) -> Result<&Prepared> {
        self.prepared.get(&id).ok_or_else(|| Error::Engine {
            what: "play",
            message: format!("recording {} or its slice is not there", id.0),
        })
    }

    /// The two parts on their engines.
    fn prepare_parts(queue: &mut Queue<R>, split: Split) -> Result<Parts> {
        let steps = split.slices.iter().flatten();
        for touch in steps.flat_map(Step::on_sim) {
            let size_bytes = queue.sizes.get(&touch.tensor).copied().unwrap_or(touch.size_bytes);
            queue.sim.adopt(touch.tensor, size_bytes)?;
        }
        let mut parts = Parts {
            real: None,
            sim: None,
            slices: split.slices,
            made: split.made,
        };
        if !split.real.ops.is_empty() {
            parts.real = Some(queue.real.prepare(split.real)?);
        }
        if !split.sim.ops.is_empty() {
            match queue.sim.prepare_part(split.sim) {
                Ok(id) => parts.sim = Some(id),
                Err(error) => {
                    parts.real.into_iter().for_each(|id| queue.real.discard(id));
                    return Err(error);
                }
            }
        }
        Ok(parts)
    }
}

impl<R: Engine> Engine for Mixed<R> {
    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        self.queue.borrow_mut().create(name, size_bytes)
    }

    fn release(&mut self, tensor: TensorId) {
        // What failed before is told to the next who can be told.
        self.queue.borrow_mut().push_last(Command::Release(tensor));
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.queue.borrow_mut().write(tensor, offset, bytes)
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        self.queue.borrow_mut().push(Command::Copy {
            from: (from, from_offset),
            to: (to, to_offset),
            size_bytes,
        })
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        let mut answer = self
            .queue
            .borrow_mut()
            .push_read(tensor, offset..offset.saturating_add(size_bytes));
        let queue = self.queue.clone();
        Box::pin(async move {
            let read = std::future::poll_fn(move |cx| {
                queue.borrow_mut().poll(cx);
                std::pin::Pin::new(&mut answer).poll(cx)
            });
            match read.await {
                Ok(read) => read?.await,
                Err(_) => Err(Error::Engine {
                    what: "read",
                    message: "the engine is gone".to_owned(),
                }),
            }
        })
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        let mut queue = self.queue.borrow_mut();
        let queue = &mut *queue;
        let name = recording.name.clone();
        let split = split(&recording, self.simulate_below, |size| queue.create("both sides", size))?;
        let (made, taps) = (split.made.clone(), split.taps.clone());
        let parts = Self::prepare_parts(queue, split).inspect_err(|_| {
            made.iter().for_each(|&tensor| queue.push_last(Command::Release(tensor)));
        })?;
        self.next_id += 1;
        let id = PreparedId(self.next_id);
        let parts = Rc::new(parts);
        self.prepared.insert(id, Prepared { name, parts, taps });
        Ok(id)
    }

    fn discard(&mut self, prepared: PreparedId) {
        if let Some(prepared) = self.prepared.remove(&prepared) {
            self.queue.borrow_mut().push_last(Command::Discard(prepared.parts));
        }
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.prepared(prepared).map_or(1, |prepared| prepared.parts.slices.len())
    }

    fn play_slice(&mut self, id: PreparedId, slice: usize) -> Result<()> {
        let parts = self.prepared(id)?.parts.clone();
        let n_steps = parts.slices.get(slice).map(Vec::len).ok_or_else(|| Error::Engine {
            what: "play",
            message: format!("recording {} has no slice {slice}", id.0),
        })?;
        let mut queue = self.queue.borrow_mut();
        for step in 0..n_steps {
            let parts = parts.clone();
            queue.push(Command::Play { parts, slice, step })?;
        }
        Ok(())
    }

    fn read_tap(&mut self, id: PreparedId, name: &str) -> ReadFuture {
        let tap = self.prepared(id).map(|prepared| prepared.taps.get(name).copied());
        match tap {
            Ok(Some(Touch { tensor, size_bytes })) => self.read(tensor, 0, size_bytes),
            Ok(None) => {
                let message = format!("{name}: no such tap, or taps were not kept");
                Box::pin(std::future::ready(Err(Error::Engine { what: "tap", message })))
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    /// A line a step, then both parts.
    fn describe(&self, id: PreparedId) -> String {
        let Ok(prepared) = self.prepared(id) else {
            return String::new();
        };
        let queue = self.queue.borrow();
        let mut text = format!("{}: {} slices\n", prepared.name, prepared.parts.slices.len());
        for (slice, steps) in prepared.parts.slices.iter().enumerate() {
            for step in steps {
                text += &match step {
                    Step::Real { slice: part, .. } => format!("{slice:3} real {part}\n"),
                    Step::Sim { slice: part, .. } => format!("{slice:3} sim {part}\n"),
                };
            }
        }
        let real = prepared.parts.real.map(|id| queue.real.describe(id));
        let sim = prepared.parts.sim.map(|id| queue.sim.describe(id));
        text + &real.unwrap_or_default() + &sim.unwrap_or_default()
    }

    fn memory_bytes(&self) -> u64 {
        let queue = self.queue.borrow();
        queue.real.memory_bytes() + queue.sim.memory_bytes()
    }
}
