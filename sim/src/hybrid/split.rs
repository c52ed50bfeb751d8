//! A recording in two parts: the operations that run on the simulated GPU, and those that run on the real one. Temporaries
//! that one part writes and the other reads become tensors, which both sides have.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use gpu::Result;
use gpu::plan::reads;
use gpu::recording::{Buffer, KvLayer, Op, Place, Recording};
use gpu::tensor::{DType, TensorId};

use crate::operands;

/// Bytes of a tensor, from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    pub tensor: TensorId,
    pub size_bytes: u64,
}

/// The cache of an operation on the simulated GPU: which rows it touches is only known when it is played.
#[derive(Clone, Copy, Debug)]
pub struct CacheUse {
    pub tensors: [TensorId; 2],
    pub table: Touch,
    pub state: TensorId,
    /// Tokens a block.
    pub block: u64,
    /// Of one token in keys or values.
    pub row_bytes: u64,
    /// Rows that the operation feeds at most.
    pub max_rows: u64,
    /// Writes rows of the tokens that are fed; else reads those of all tokens.
    pub appends: bool,
}

/// What is played as one.
#[derive(Clone, Debug)]
pub enum Step {
    /// A slice of the real part.
    Real {
        slice: usize,
        needs: Vec<Touch>,
        writes: Vec<Touch>,
    },
    /// A slice of the simulated part: one operation.
    Sim {
        slice: usize,
        needs: Vec<Touch>,
        writes: Vec<Touch>,
        cache: Option<CacheUse>,
    },
}

impl Step {
    /// The tensors that the simulated side must have for it.
    pub fn on_sim(&self) -> Vec<Touch> {
        match self {
            Step::Real { .. } => Vec::new(),
            Step::Sim {
                needs, writes, cache, ..
            } => {
                let caches = cache.iter().flat_map(|cache| cache.tensors);
                let caches = caches.map(|tensor| Touch { tensor, size_bytes: 0 });
                needs.iter().chain(writes).copied().chain(caches).collect()
            }
        }
    }
}

/// Both parts, and in what order they are played.
#[derive(Debug)]
pub struct Split {
    pub real: Recording,
    pub sim: Recording,
    /// By slice of the recording.
    pub slices: Vec<Vec<Step>>,
    /// Tensors that were made for temporaries.
    pub made: Vec<TensorId>,
    /// What a tap's name reads, if taps are kept.
    pub taps: BTreeMap<String, Touch>,
}

/// Bytes of all operands of an operation, each once: what would have to travel if they all lay on the other side. A KV cache
/// counts as a whole where it is read, and by the rows that are written where it is appended to.
pub fn size_bytes(recording: &Recording, op: &Op) -> u64 {
    let bytes = |buffer: &Buffer| bytes_of(recording, *buffer);
    let mut roots: BTreeSet<Buffer> = touched(op).into_iter().map(|buffer| recording.root(buffer)).collect();
    let mut rows = 0;
    if let Op::KvAppend { k, v, cache, .. } = op {
        roots.remove(&recording.root(cache.k));
        roots.remove(&recording.root(cache.v));
        rows = bytes(k) + bytes(v);
    }
    let weight = operands::weight(op).map_or(0, |weight| weight.size_bytes());
    roots.iter().map(bytes).sum::<u64>() + rows + weight
}

/// Splits: operations of fewer than `below` bytes are simulated. `make` makes a tensor of so many bytes.
///
/// Errors: those of `make`.
pub fn split(recording: &Recording, below: u64, make: impl FnMut(u64) -> Result<TensorId>) -> Result<Split> {
    let simulated: Vec<bool> = recording.ops.iter().map(|op| size_bytes(recording, op) < below).collect();
    let order = order(recording, &simulated);
    let (tensor_of, made) = crossing(recording, &simulated, &order, make)?;
    let part = |of: bool| part(recording, &simulated, of, &tensor_of);
    let (mut real, mut sim) = (part(false), part(true));
    let seen = Seen {
        recording,
        tensor_of: &tensor_of,
    };
    let (mut n_real, mut n_sim) = (0, 0);
    let (mut at_real, mut at_sim) = (0, 0);
    let mut slices = vec![Vec::new(); order.last().map_or(1, |run| run.slice + 1)];
    for run in &order {
        let ops = &recording.ops[run.ops.clone()];
        let (part, n, at) = match run.simulated {
            true => (&mut sim, &mut n_sim, &mut at_sim),
            false => (&mut real, &mut n_real, &mut at_real),
        };
        if *at > 0 {
            part.cuts.push(*at);
        }
        *at += ops.len();
        let slice = *n;
        *n += 1;
        slices[run.slice].push(match (run.simulated, ops) {
            (true, [op]) => seen.sim_step(slice, op),
            _ => seen.real_step(slice, ops),
        });
    }
    let mut taps = BTreeMap::new();
    if recording.keep_taps {
        for (name, &tap) in &recording.taps {
            if let Some(tensor) = seen.tensor(tap) {
                let size_bytes = bytes_of(recording, tap);
                taps.insert(name.clone(), Touch { tensor, size_bytes });
            }
        }
    }
    Ok(Split {
        real,
        sim,
        slices,
        made,
        taps,
    })
}

fn bytes_of(recording: &Recording, buffer: Buffer) -> u64 {
    let info = recording.info(buffer);
    info.dtype.size_bytes(info.shape.n())
}

/// All buffers of an operation.
fn touched(op: &Op) -> Vec<Buffer> {
    reads(op).into_iter().chain(operands::writes(op)).collect()
}

/// Operations that are played as one: all that follow each other on the real side, each alone on the simulated.
struct Run {
    ops: Range<usize>,
    simulated: bool,
    /// Of the recording.
    slice: usize,
}

fn order(recording: &Recording, simulated: &[bool]) -> Vec<Run> {
    let mut order: Vec<Run> = Vec::new();
    for (slice, ops) in recording.slices().into_iter().enumerate() {
        for i in ops {
            match order.last_mut() {
                Some(run) if !simulated[i] && !run.simulated && run.slice == slice => run.ops.end = i + 1,
                _ => order.push(Run {
                    ops: i..i + 1,
                    simulated: simulated[i],
                    slice,
                }),
            }
        }
    }
    order
}

/// A tensor for each temporary that both sides touch or that a tap reads. Two whose lives do not overlap share one; a run's
/// operations may be moved within it, so a life is counted in whole runs.
fn crossing(
    recording: &Recording,
    simulated: &[bool],
    order: &[Run],
    mut make: impl FnMut(u64) -> Result<TensorId>,
) -> Result<(BTreeMap<Buffer, TensorId>, Vec<TensorId>)> {
    struct Life {
        runs: (usize, usize),
        sides: [bool; 2],
    }
    let mut lives: BTreeMap<Buffer, Life> = BTreeMap::new();
    for (i, run) in order.iter().enumerate() {
        for op in run.ops.clone() {
            for buffer in touched(&recording.ops[op]) {
                let root = recording.root(buffer);
                if recording.info(root).place == Place::Temp {
                    let life = lives.entry(root).or_insert(Life {
                        runs: (i, i),
                        sides: [false; 2],
                    });
                    life.runs.1 = i;
                    life.sides[usize::from(simulated[op])] = true;
                }
            }
        }
    }
    if recording.keep_taps {
        for &tap in recording.taps.values() {
            if let Some(life) = lives.get_mut(&recording.root(tap)) {
                (life.runs.1, life.sides) = (usize::MAX, [true; 2]);
            }
        }
    }
    let mut crossing: Vec<(Buffer, Life)> = lives.into_iter().filter(|(_, life)| life.sides == [true; 2]).collect();
    crossing.sort_by_key(|(buffer, life)| (life.runs.0, *buffer));
    // Sizes are known before anything is made: a slot is as large as the largest that it holds.
    let mut slots: Vec<(usize, u64)> = Vec::new();
    let mut slot_of = Vec::new();
    for (buffer, life) in &crossing {
        let size = bytes_of(recording, *buffer);
        let free = (0..slots.len()).filter(|&slot| slots[slot].0 < life.runs.0);
        let slot = free.min_by_key(|&slot| slots[slot].1.abs_diff(size)).unwrap_or_else(|| {
            slots.push((0, 0));
            slots.len() - 1
        });
        slots[slot] = (life.runs.1, slots[slot].1.max(size));
        slot_of.push(slot);
    }
    let made = slots.iter().map(|&(_, size)| make(size)).collect::<Result<Vec<_>>>()?;
    let tensors = crossing.iter().zip(slot_of).map(|((buffer, _), slot)| (*buffer, made[slot]));
    Ok((tensors.collect(), made))
}

/// The operations of one side, over the same buffers. Its cuts are added as runs are.
fn part(recording: &Recording, simulated: &[bool], of: bool, tensor_of: &BTreeMap<Buffer, TensorId>) -> Recording {
    let sides = recording.ops.iter().zip(simulated);
    let ops: Vec<Op> = sides.filter(|(_, side)| **side == of).map(|(op, _)| op.clone()).collect();
    let used: BTreeSet<Buffer> = ops.iter().flat_map(touched).map(|buffer| recording.root(buffer)).collect();
    let mut buffers = recording.buffers.clone();
    for (i, info) in (0..).zip(&mut buffers) {
        match (info.place, tensor_of.get(&Buffer(i))) {
            (Place::Temp, Some(&tensor)) if used.contains(&Buffer(i)) => info.place = Place::Bound(tensor),
            // What this part does not touch need not be there.
            (Place::Bound(_), _) if !used.contains(&Buffer(i)) => info.place = Place::Temp,
            _ => {}
        }
    }
    Recording {
        name: recording.name.clone(),
        buffers,
        ops,
        ..Recording::default()
    }
}

/// A recording whose crossing temporaries have tensors.
struct Seen<'a> {
    recording: &'a Recording,
    tensor_of: &'a BTreeMap<Buffer, TensorId>,
}

impl Seen<'_> {
    fn tensor(&self, buffer: Buffer) -> Option<TensorId> {
        let root = self.recording.root(buffer);
        match self.recording.info(root).place {
            Place::Bound(id) => Some(id),
            _ => self.tensor_of.get(&root).copied(),
        }
    }

    fn touch(&self, buffer: Buffer) -> Option<Touch> {
        let size_bytes = bytes_of(self.recording, buffer);
        self.tensor(buffer).map(|tensor| Touch { tensor, size_bytes })
    }

    /// What must be there before `ops` are played: what they read, their weights, and what they may change a part of. A
    /// temporary is written as a whole.
    fn needs(&self, ops: &[Op]) -> Vec<Touch> {
        let bound = |buffer: &Buffer| !self.tensor_of.contains_key(&self.recording.root(*buffer));
        let mut needs = Vec::new();
        let mut written = BTreeSet::new();
        for op in ops {
            let read = reads(op)
                .into_iter()
                .filter(|&buffer| !written.contains(&self.recording.root(buffer)));
            needs.extend(read.filter_map(|buffer| self.touch(buffer)));
            let changed = operands::writes(op).into_iter().filter(bound);
            needs.extend(changed.filter_map(|buffer| self.touch(buffer)));
            written.extend(
                operands::writes(op)
                    .into_iter()
                    .filter(|buffer| !bound(buffer))
                    .map(|b| self.recording.root(b)),
            );
            let weight = operands::weight(op);
            for (part, weight) in weight
                .into_iter()
                .flat_map(|weight| weight.parts.iter().map(move |part| (part, weight)))
            {
                let touch = |tensor, size_bytes| Touch { tensor, size_bytes };
                needs.push(touch(part.packed, weight.format.packed_bytes(part.n_rows, weight.k)));
                let scale_bytes = weight.format.scale_bytes(part.n_rows, weight.k);
                needs.extend(part.scales.map(|scales| touch(scales, scale_bytes)));
            }
        }
        needs
    }

    fn writes(&self, ops: &[Op]) -> Vec<Touch> {
        let writes = ops.iter().flat_map(operands::writes);
        writes.filter_map(|buffer| self.touch(buffer)).collect()
    }

    fn real_step(&self, slice: usize, ops: &[Op]) -> Step {
        Step::Real {
            slice,
            needs: self.needs(ops),
            writes: self.writes(ops),
        }
    }

    fn sim_step(&self, slice: usize, op: &Op) -> Step {
        let (ops, cache) = (std::slice::from_ref(op), self.cache(op));
        let by_rows = |touch: &Touch| cache.is_some_and(|cache| cache.tensors.contains(&touch.tensor));
        let others = |touches: Vec<Touch>| touches.into_iter().filter(|touch| !by_rows(touch)).collect();
        Step::Sim {
            slice,
            needs: others(self.needs(ops)),
            writes: others(self.writes(ops)),
            cache,
        }
    }

    fn cache(&self, op: &Op) -> Option<CacheUse> {
        let (cache, state, rows, appends): (&KvLayer, _, _, _) = match op {
            Op::KvAppend { k, cache, state, .. } => (cache, *state, *k, true),
            Op::CachedAttention { q, cache, state, .. } => (cache, *state, *q, false),
            _ => return None,
        };
        let shape = &self.recording.shape(cache.k).0;
        let width = shape.iter().skip(2).product::<usize>() as u64;
        Some(CacheUse {
            tensors: [self.tensor(cache.k)?, self.tensor(cache.v)?],
            table: self.touch(cache.table)?,
            state: self.tensor(state)?,
            block: cache.block as u64,
            row_bytes: width * if cache.dtype == DType::F16 { 2 } else { 4 },
            max_rows: self.recording.shape(rows).0.first().copied().unwrap_or(0) as u64,
            appends,
        })
    }
}
