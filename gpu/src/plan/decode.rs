//! Which operations of a decode step become kernels of integer dot products and of split attention, and which
//! operations those take over. Linear layers of one row whose weights have four or eight bits read x as packed bytes
//! (`shaders/parts/pack_acts.wgsl`); who makes x packs it where possible, so that a layer is a handful of dispatches.

use std::collections::{BTreeMap, BTreeSet};

use super::fuse::{Fusions, kept, readers};
use super::operands::writes;
use super::variants::{Single, Variants, Vector};
use crate::kernel::attn_split::AttnSplit;
use crate::kernel::dot;
use crate::recording::{Buffer, Op, Place, Recording};
use crate::weights::Weight;

/// x of linear layers, packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packed {
    pub order: u32,
    /// x is the RMS norm of `source` by this weight, which is never stored: its packed form is made from `source`.
    pub norm: Option<Norm>,
    /// x is read in no other way, so it need not be stored.
    pub alone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    pub source: Buffer,
    pub weight: Buffer,
    pub eps: f32,
}

/// Operations of the queries and the newest key that `attn_split` takes over.
#[derive(Clone, Copy, Debug)]
pub struct RawHeads {
    /// Operations of q, k and v: linear layers that become one.
    pub linears: [usize; 3],
    pub q_norm: Buffer,
    pub k_norm: Buffer,
    pub eps_q: f32,
    pub eps_k: f32,
    pub table: Buffer,
    pub map: Buffer,
    pub pos: Buffer,
}

/// What was found, by operations and by roots of buffers.
#[derive(Debug, Default)]
pub struct Decoding {
    /// Linear layers that read packed activations.
    pub linears: BTreeSet<usize>,
    /// Packed inputs by the root of x.
    pub packed: BTreeMap<Buffer, Packed>,
    /// Inputs whose norm's source is a linear layer's sum: that layer packs them. From the source's root to x's.
    pub packed_by_sum: BTreeMap<Buffer, Buffer>,
    /// SwiGLUs that compute their two linear layers (gate's, up's operation).
    pub gated: BTreeMap<usize, [usize; 2]>,
    /// Attention over splits of the cache; with `Some`, from the projections.
    pub attention: BTreeMap<usize, Option<RawHeads>>,
    /// Operations that others take over.
    pub moved: BTreeSet<usize>,
}

impl Decoding {
    /// Is x, by its root, read as packed activations and in no other way?
    pub fn is_alone(&self, root: Buffer) -> bool {
        self.packed.get(&root).is_some_and(|packed| packed.alone)
    }
}

/// Finds them.
pub fn find(recording: &Recording, variants: &Variants, fusions: &Fusions) -> Decoding {
    let mut found = Decoding::default();
    // Only whole steps: what packs lies in the same slice, and no weight is packed anew in between.
    let changing = recording.ops.iter().any(|op| matches!(op, Op::Quantize { .. }));
    if changing || !recording.cuts.is_empty() {
        return found;
    }
    let finder = Finder {
        recording,
        readers: readers(recording),
        writers: writers(recording),
        kept: kept(recording),
    };
    if variants.vector == Vector::Dot {
        finder.linears(&mut found);
        finder.norms(&mut found, fusions);
        finder.gated(&mut found);
    }
    if variants.single == Single::Split {
        finder.attention(&mut found);
    }
    found
}

/// The state of a step that changes nothing that lasts when its `n_tokens` is 0: one that ends with a choice, and besides
/// only appends to the cache.
pub fn gate(recording: &Recording) -> Option<Buffer> {
    let Some(Op::Sample(sample)) = recording.ops.last() else {
        return None;
    };
    let state = recording.root(sample.state);
    let same = |other: Buffer| {
        let place = |buffer: Buffer| recording.info(recording.root(buffer)).place;
        recording.root(other) == state || (place(other) == place(state) && place(state) != Place::Temp)
    };
    let steps = recording.ops.iter().rev().skip(1).all(|op| match op {
        Op::KvAppend { state, .. } => same(*state),
        Op::Sample(_) | Op::Quantize { .. } => false,
        op => writes(op).iter().all(|&buffer| {
            let root = recording.root(buffer);
            matches!(recording.info(root).place, Place::Temp)
        }),
    });
    (steps && recording.cuts.is_empty()).then_some(state)
}

struct Finder<'a> {
    recording: &'a Recording,
    readers: BTreeMap<Buffer, Vec<usize>>,
    writers: BTreeMap<Buffer, Vec<usize>>,
    kept: BTreeSet<Buffer>,
}

/// The operations that write each root.
fn writers(recording: &Recording) -> BTreeMap<Buffer, Vec<usize>> {
    let mut writers: BTreeMap<Buffer, Vec<usize>> = BTreeMap::new();
    for (idx, op) in recording.ops.iter().enumerate() {
        for buffer in writes(op) {
            writers.entry(recording.root(buffer)).or_default().push(idx);
        }
    }
    writers
}

impl Finder<'_> {
    fn op(&self, idx: usize) -> &Op {
        &self.recording.ops[idx]
    }

    fn readers(&self, buffer: Buffer) -> &[usize] {
        self.readers.get(&self.recording.root(buffer)).map_or(&[], Vec::as_slice)
    }

    /// A temporary that need not be stored if its readers can do without.
    fn is_inner(&self, buffer: Buffer) -> bool {
        let root = self.recording.root(buffer);
        matches!(self.recording.info(root).place, Place::Temp) && !self.kept.contains(&root)
    }

    /// The one operation that writes a buffer.
    fn writer(&self, buffer: Buffer) -> Option<(usize, &Op)> {
        match self.writers.get(&self.recording.root(buffer)).map(Vec::as_slice) {
            Some(&[idx]) => Some((idx, self.op(idx))),
            _ => None,
        }
    }

    /// The writer of an inner temporary that only `reader` reads, once.
    fn sole(&self, buffer: Buffer, reader: usize) -> Option<(usize, &Op)> {
        let sole = self.is_inner(buffer) && self.readers(buffer) == [reader];
        self.writer(buffer).filter(|(idx, _)| sole && *idx < reader)
    }

    fn linears(&self, found: &mut Decoding) {
        for (idx, op) in self.recording.ops.iter().enumerate() {
            let Op::Linear { x, weight, .. } = op else { continue };
            let (rows, k) = (self.recording.shape(*x).rows(), self.recording.shape(*x).last());
            let Some(order) = dot::order(weight.format).filter(|_| rows == 1 && k == weight.k && k * weight.n > 0) else {
                continue;
            };
            let root = self.recording.root(*x);
            // One packed form of each x: layers that want another one keep to theirs in f32. x must not change in between.
            let stable = self
                .writers
                .get(&root)
                .is_none_or(|writers| writers.iter().all(|&writer| writer < idx));
            let packed = found.packed.entry(root).or_insert(Packed {
                order,
                norm: None,
                alone: false,
            });
            if packed.order == order && stable {
                found.linears.insert(idx);
            }
        }
        found.packed.retain(|&root, _| {
            let mut readers = self.readers(root).iter();
            readers.any(|reader| found.linears.contains(reader))
        });
        for (&root, packed) in &mut found.packed {
            packed.alone = self.is_inner(root) && self.readers(root).iter().all(|reader| found.linears.contains(reader));
        }
    }

    fn norms(&self, found: &mut Decoding, fusions: &Fusions) {
        let roots: Vec<Buffer> = found.packed.keys().copied().collect();
        for root in roots {
            let Some((
                idx,
                &Op::RmsNorm {
                    x: source, weight, eps, ..
                },
            )) = self.writer(root)
            else {
                continue;
            };
            // A norm by head has rows of its own.
            let source_root = self.recording.root(source);
            let stable = self
                .writers
                .get(&source_root)
                .is_none_or(|writers| writers.iter().all(|&writer| writer < idx));
            if !stable || !found.is_alone(root) || self.recording.shape(source).rows() != 1 {
                continue;
            }
            if let Some(packed) = found.packed.get_mut(&root) {
                packed.norm = Some(Norm { source, weight, eps });
            }
            found.moved.insert(idx);
            let source = self.recording.root(source);
            let by_sum = self.writer(source).is_some_and(|(sum_idx, sum)| {
                let linear_idx = fusions.by_tail_idx.get(&sum_idx).map_or(sum_idx, |fused| fused.linear_idx);
                let whole = |weight: &Weight| weight.parts.len() == 1;
                let is_linear = matches!(self.op(linear_idx), Op::Linear { weight, .. } if whole(weight));
                is_linear && found.linears.contains(&linear_idx) && matches!(sum, Op::Linear { .. } | Op::Add { .. })
            });
            if by_sum {
                found.packed_by_sum.entry(source).or_insert(root);
            }
        }
    }

    fn gated(&self, found: &mut Decoding) {
        for (idx, op) in self.recording.ops.iter().enumerate() {
            let &Op::SwiGlu { gate, up, y } = op else { continue };
            let root = self.recording.root(y);
            if !found.is_alone(root) {
                continue;
            }
            let (Some((gate_idx, gate)), Some((up_idx, up))) = (self.sole(gate, idx), self.sole(up, idx)) else {
                continue;
            };
            if [gate_idx, up_idx].iter().all(|linear| found.linears.contains(linear)) && self.alike(gate, up) {
                found.gated.insert(idx, [gate_idx, up_idx]);
                found.moved.extend([gate_idx, up_idx]);
            }
        }
    }

    /// Two linear layers without bias of one x, whose weights are cut alike.
    fn alike(&self, a: &Op, b: &Op) -> bool {
        let (
            Op::Linear {
                x: x_a,
                weight: a,
                bias: None,
                ..
            },
            Op::Linear {
                x: x_b,
                weight: b,
                bias: None,
                ..
            },
        ) = (a, b)
        else {
            return false;
        };
        let rows = |weight: &Weight| -> Vec<_> { weight.parts.iter().map(|part| (part.first_row, part.n_rows)).collect() };
        let grouped = a.parts.iter().all(|part| part.first_row.is_multiple_of(32));
        let same = (a.format, a.n, a.k) == (b.format, b.n, b.k) && rows(a) == rows(b);
        self.recording.root(*x_a) == self.recording.root(*x_b) && grouped && same
    }

    fn attention(&self, found: &mut Decoding) {
        for (idx, op) in self.recording.ops.iter().enumerate() {
            let Op::CachedAttention { q, cache, .. } = op else { continue };
            let (&[1, heads, e], &[_, _, kv_heads, _]) = (
                self.recording.shape(*q).0.as_slice(),
                self.recording.shape(cache.k).0.as_slice(),
            ) else {
                continue;
            };
            if !AttnSplit::takes(heads, kv_heads, e, false) {
                continue;
            }
            let raw = match AttnSplit::takes(heads, kv_heads, e, true) {
                true => self.raw_heads(idx, found),
                false => None,
            };
            if let Some((raw, moved)) = &raw {
                found.moved.extend(moved);
                found.moved.extend(raw.linears);
            }
            found.attention.insert(idx, raw.map(|(raw, _)| raw));
        }
    }

    /// Norm, rotation and append in front of attention, if they are what models write, and which operations they are.
    fn raw_heads(&self, idx: usize, found: &Decoding) -> Option<(RawHeads, [usize; 5])> {
        let Op::CachedAttention { q, cache, state, .. } = self.op(idx) else {
            return None;
        };
        let append_idx = idx.checked_sub(1)?;
        let Op::KvAppend {
            k,
            v,
            cache: appended,
            state: append_state,
        } = self.op(append_idx)
        else {
            return None;
        };
        let (
            q_turn_idx,
            &Op::Rope {
                x: q, table, map, pos, ..
            },
        ) = self.sole(*q, idx)?
        else {
            return None;
        };
        let (
            k_turn_idx,
            &Op::Rope {
                x: k,
                table: k_table,
                map: k_map,
                pos: k_pos,
                ..
            },
        ) = self.sole(*k, append_idx)?
        else {
            return None;
        };
        let (
            q_norm_idx,
            &Op::RmsNorm {
                x: q,
                weight: q_norm,
                eps: eps_q,
                ..
            },
        ) = self.sole(q, q_turn_idx)?
        else {
            return None;
        };
        let (
            k_norm_idx,
            &Op::RmsNorm {
                x: k,
                weight: k_norm,
                eps: eps_k,
                ..
            },
        ) = self.sole(k, k_turn_idx)?
        else {
            return None;
        };
        let place = |buffer: Buffer| self.recording.info(self.recording.root(buffer)).place;
        let same = |a: Buffer, b: Buffer| {
            self.recording.root(a) == self.recording.root(b) || (place(a) == place(b) && place(a) != Place::Temp)
        };
        let agree = appended == cache && state == append_state && same(table, k_table) && same(map, k_map) && same(pos, k_pos);
        let projections = [
            self.sole(q, q_norm_idx)?,
            self.sole(k, k_norm_idx)?,
            self.sole(*v, append_idx)?,
        ];
        let linears = projections.map(|(linear_idx, _)| linear_idx);
        let joined = linears.iter().all(|linear| found.linears.contains(linear)) && self.joined(projections.map(|(_, op)| op));
        // The step's positions and state are looked up once for all layers.
        let stable = [self.recording.root(pos), self.recording.root(*state)].iter().all(|root| {
            let mut writers = self.writers.get(root).into_iter().flatten();
            writers.all(|&writer| writer > idx)
        });
        let raw = RawHeads {
            linears,
            q_norm,
            k_norm,
            eps_q,
            eps_k,
            table,
            map,
            pos,
        };
        let moved = [q_norm_idx, k_norm_idx, q_turn_idx, k_turn_idx, append_idx];
        (agree && joined && stable).then_some((raw, moved))
    }

    /// Three linear layers without bias of one x, of one format, each weight in one part.
    fn joined(&self, ops: [&Op; 3]) -> bool {
        let of = |op: &Op| match op {
            Op::Linear {
                x, weight, bias: None, ..
            } if weight.parts.len() == 1 => Some((self.recording.root(*x), weight.format, weight.k, weight.n)),
            _ => None,
        };
        match ops.map(of) {
            [Some(q), Some(k), Some(v)] => (q.0, q.1, q.2) == (k.0, k.1, k.2) && k == v,
            _ => false,
        }
    }
}
