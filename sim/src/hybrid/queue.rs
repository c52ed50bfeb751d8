//! [`Queue`]: what a mixed engine was asked and has not done. An operation on the simulated GPU may need what the real one is
//! still computing; it and all that follows then wait in here, and whoever polls a read drives it on. Nothing blocks.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::channel::oneshot;
use gpu::engine::{Engine, PreparedId, ReadFuture};
use gpu::tensor::TensorId;
use gpu::{Error, Result};

use super::cache_rows::{is_needed, rows, words};
use super::sides::{Sides, whole};
use super::split::Step;
use super::traffic::TrafficHandle;
use super::wakers::Wakers;
use crate::SimEngine;

/// What is written of at most so many bytes goes to both sides at once: positions, states, tables.
const BOTH_BYTES: usize = 64 << 10;

/// A prepared recording's parts on their engines; none where a part has no operations.
#[derive(Debug)]
pub struct Parts {
    pub real: Option<PreparedId>,
    pub sim: Option<PreparedId>,
    /// By slice of the recording.
    pub slices: Vec<Vec<Step>>,
    pub made: Vec<TensorId>,
}

pub enum Command {
    Write {
        tensor: TensorId,
        offset: u64,
        bytes: Vec<u8>,
    },
    Copy {
        from: (TensorId, u64),
        to: (TensorId, u64),
        size_bytes: u64,
    },
    /// A step of a slice.
    Play {
        parts: Rc<Parts>,
        slice: usize,
        step: usize,
    },
    Read {
        tensor: TensorId,
        range: Range<u64>,
        reply: oneshot::Sender<Result<ReadFuture>>,
    },
    Release(TensorId),
    Discard(Rc<Parts>),
}

/// Bytes on their way from the real side to the simulated.
struct Fetch {
    tensor: TensorId,
    range: Range<u64>,
    read: ReadFuture,
}

/// Both engines, and what waits for them.
pub struct Queue<R> {
    pub real: R,
    pub sim: SimEngine,
    pub sides: Sides,
    pub sizes: HashMap<TensorId, u64>,
    traffic: TrafficHandle,
    waiting: VecDeque<Command>,
    fetches: Vec<Fetch>,
    /// Of something that was queued; the next who asks is told.
    failed: Option<Error>,
    wakers: Arc<Wakers>,
}

/// Whether a command is done, or waits for what is fetched.
enum Did {
    All,
    Nothing,
}

impl<R: Engine> Queue<R> {
    pub fn new(real: R, sim: SimEngine, traffic: TrafficHandle) -> Self {
        Self {
            real,
            sim,
            sides: Sides::default(),
            sizes: HashMap::new(),
            traffic,
            waiting: VecDeque::new(),
            fetches: Vec::new(),
            failed: None,
            wakers: Arc::default(),
        }
    }

    /// Queues a command, and does at once what can be done.
    ///
    /// Errors: what went wrong since the last call.
    pub fn push(&mut self, command: Command) -> Result<()> {
        self.waiting.push_back(command);
        self.go_on();
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The same, of something that cannot fail; what went wrong before is told to the next who can be told.
    pub fn push_last(&mut self, command: Command) {
        self.waiting.push_back(command);
        self.go_on();
    }

    /// A tensor of the real side, zeros on both.
    pub fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        let tensor = self.real.create(name, size_bytes)?;
        self.sides.create(tensor);
        self.sizes.insert(tensor, size_bytes.max(1).next_multiple_of(4));
        Ok(tensor)
    }

    /// Copies the bytes only if something waits before them.
    pub fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.waiting.is_empty() {
            true => self.write_now(tensor, offset, bytes),
            false => self.push(Command::Write {
                tensor,
                offset,
                bytes: bytes.to_vec(),
            }),
        }
    }

    fn write_now(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.real.write(tensor, offset, bytes)?;
        let range = offset..offset + bytes.len() as u64;
        if bytes.len() <= BOTH_BYTES && self.sim.has(tensor) {
            self.sim.write(tensor, offset, bytes)?;
            self.sides.on_both(tensor, &range);
        } else {
            self.sides.on_real(tensor, &range);
        }
        Ok(())
    }

    /// Queues a read; what went wrong before is its answer.
    pub fn push_read(&mut self, tensor: TensorId, range: Range<u64>) -> oneshot::Receiver<Result<ReadFuture>> {
        let (reply, answer) = oneshot::channel();
        self.waiting.push_back(Command::Read { tensor, range, reply });
        self.go_on();
        answer
    }

    /// Goes on for the task of `cx`: it, and every other that polled, is woken when more can be done.
    pub fn poll(&mut self, cx: &Context<'_>) {
        self.wakers.add(cx.waker());
        self.go_on();
    }

    fn go_on(&mut self) {
        let waker = Waker::from(self.wakers.clone());
        // What is not ready wakes those who polled.
        let _ = self.drive(&mut Context::from_waker(&waker));
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.receive(cx).is_pending() {
                return Poll::Pending;
            }
            let Some(command) = self.waiting.pop_front() else {
                return Poll::Ready(());
            };
            match self.carry_out(&command) {
                Ok(Did::All) => self.answer(command),
                Ok(Did::Nothing) => self.waiting.push_front(command),
                Err(error) => self.fail(command, error),
            }
        }
    }

    /// Takes in what was fetched; pending until all of it is there.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut still = Vec::new();
        for mut fetch in std::mem::take(&mut self.fetches) {
            match fetch.read.as_mut().poll(cx) {
                Poll::Pending => still.push(fetch),
                Poll::Ready(bytes) => {
                    let written = bytes.and_then(|bytes| self.sim.write(fetch.tensor, fetch.range.start, &bytes));
                    match written {
                        Ok(()) => self.sides.fetched(fetch.tensor, &fetch.range),
                        Err(error) => {
                            // What waits for these bytes cannot be done.
                            self.waiting
                                .pop_front()
                                .into_iter()
                                .for_each(|command| self.fail(command, error.clone()));
                        }
                    }
                }
            }
        }
        self.fetches = still;
        match self.fetches.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<Did> {
        match command {
            Command::Write { tensor, offset, bytes } => self.write_now(*tensor, *offset, bytes)?,
            Command::Copy { from, to, size_bytes } => {
                self.send(from.0, &(from.1..from.1.saturating_add(*size_bytes)))?;
                self.real.copy(from.0, from.1, to.0, to.1, *size_bytes)?;
                self.sides.on_real(to.0, &(to.1..to.1 + size_bytes));
            }
            Command::Play { parts, slice, step } => return self.play(parts, *slice, *step),
            Command::Read { .. } => {}
            Command::Release(tensor) => self.release(*tensor),
            Command::Discard(parts) => {
                parts.real.into_iter().for_each(|id| self.real.discard(id));
                parts.sim.into_iter().for_each(|id| self.sim.discard(id));
                parts.made.iter().for_each(|&tensor| self.release(tensor));
            }
        }
        Ok(Did::All)
    }

    /// A read is begun on the side that has the bytes.
    fn answer(&mut self, command: Command) {
        let Command::Read { tensor, range, reply } = command else {
            return;
        };
        let size_bytes = range.end - range.start;
        let read = if let Some(error) = self.failed.take() {
            Err(error)
        } else if self.sim.has(tensor) && self.sides.sim_lacks(tensor, &range).is_empty() {
            Ok(self.sim.read(tensor, range.start, size_bytes))
        } else {
            self.send(tensor, &range)
                .map(|()| self.real.read(tensor, range.start, size_bytes))
        };
        // Whoever asked may have gone.
        let _ = reply.send(read);
    }

    fn fail(&mut self, command: Command, error: Error) {
        tracing::debug!(%error, "a queued command failed");
        match command {
            Command::Read { reply, .. } => drop(reply.send(Err(error))),
            _ => self.failed = Some(error),
        }
    }

    fn release(&mut self, tensor: TensorId) {
        self.real.release(tensor);
        self.sim.release(tensor);
        self.sides.release(tensor);
        self.sizes.remove(&tensor);
    }

    fn play(&mut self, parts: &Parts, slice: usize, step: usize) -> Result<Did> {
        let gone = || Error::Engine {
            what: "play",
            message: "a part of a recording is not there".to_owned(),
        };
        match parts.slices.get(slice).and_then(|steps| steps.get(step)) {
            None => Err(gone()),
            Some(Step::Real { slice, needs, writes }) => {
                for touch in needs {
                    self.send(touch.tensor, &whole(touch))?;
                }
                self.real.play_slice(parts.real.ok_or_else(gone)?, *slice)?;
                writes
                    .iter()
                    .for_each(|touch| self.sides.on_real(touch.tensor, &whole(touch)));
                self.traffic.add(|traffic| traffic.real_runs += 1);
                Ok(Did::All)
            }
            Some(Step::Sim {
                slice,
                needs,
                writes,
                cache,
            }) => {
                let missing = needs.iter().filter(|touch| self.fetch(touch.tensor, &whole(touch)));
                if missing.count() > 0 {
                    return Ok(Did::Nothing);
                }
                let rows = match cache {
                    Some(cache) => rows(&self.sim, cache)?,
                    None => Vec::new(),
                };
                let caches = || {
                    let tensors = cache.iter().flat_map(|cache| cache.tensors.map(|tensor| (cache, tensor)));
                    tensors.flat_map(|(cache, tensor)| rows.iter().map(move |row| (cache, tensor, row)))
                };
                if caches()
                    .filter(|(cache, tensor, row)| is_needed(cache, row) && self.fetch(*tensor, row))
                    .count()
                    > 0
                {
                    return Ok(Did::Nothing);
                }
                self.sim.play_slice(parts.sim.ok_or_else(gone)?, *slice)?;
                writes.iter().for_each(|touch| self.sides.on_sim(touch.tensor, &whole(touch)));
                if cache.is_some_and(|cache| cache.appends) {
                    caches().for_each(|(_, tensor, row)| self.sides.on_sim(tensor, &words(row)));
                }
                self.traffic.add(|traffic| traffic.sim_operations += 1);
                Ok(Did::All)
            }
        }
    }

    /// Sends the real side what it lacks of a range.
    fn send(&mut self, tensor: TensorId, range: &Range<u64>) -> Result<()> {
        for lacking in self.sides.real_lacks(tensor, range) {
            let words = self.sim.words(tensor, lacking.start, lacking.end - lacking.start)?;
            self.real.write(tensor, lacking.start, bytemuck::cast_slice(words))?;
            self.sides.sent(tensor, &lacking);
            self.traffic.add(|traffic| traffic.sent_bytes += lacking.end - lacking.start);
        }
        Ok(())
    }

    /// Begins to fetch what the simulated side lacks of a range; `true` if there is anything.
    fn fetch(&mut self, tensor: TensorId, range: &Range<u64>) -> bool {
        let lacking = self.sides.sim_lacks(tensor, &words(range));
        let under_way = |range: &Range<u64>| {
            self.fetches
                .iter()
                .any(|fetch| fetch.tensor == tensor && fetch.range == *range)
        };
        let new: Vec<_> = lacking.iter().filter(|range| !under_way(range)).cloned().collect();
        for range in new {
            let read = self.real.read(tensor, range.start, range.end - range.start);
            self.traffic.add(|traffic| traffic.fetched_bytes += range.end - range.start);
            self.fetches.push(Fetch { tensor, range, read });
        }
        !lacking.is_empty()
    }
}
