//! Lowering of what `plan::decode` found: linear layers of one row on packed activations, and split attention.

use super::Lowering;
use crate::error::Result;
use crate::kernel::Operand;
use crate::kernel::attn_combine::{AttnCombine, Out};
use crate::kernel::attn_split::{AttnSplit, Cache, Raw, partial_bytes};
use crate::kernel::attn_step::{AttnStep, step_bytes};
use crate::kernel::dot::{Sharing, packed_bytes};
use crate::kernel::dot_matvec::{DotMatvec, Then};
use crate::kernel::dot_qkv::DotQkv;
use crate::kernel::dot_quantize::DotQuantize;
use crate::kernel::dot_swiglu::DotSwiGlu;
use crate::plan::decode::{Packed, RawHeads};
use crate::plan::fuse::Tail;
use crate::recording::{Buffer, KvLayer, Op};
use crate::tensor::DType;

/// Lanes of a workgroup that store sums as they are.
const LANES: u32 = 256;
/// Lanes of a workgroup whose 32 rows are packed in the end: all rows at once.
const NORM_LANES: u32 = 1024;
/// Lanes of a workgroup of gate and up: half of its 32 rows at once, so that workgroups overlap.
const GATED_LANES: u32 = 512;
/// Workgroups that share the cache, over all kv heads.
const ATTENTION_GROUPS: usize = 256;
/// Keys of the shortest split, as in the shader.
const MIN_SPLIT: usize = 64;
/// Lanes of a workgroup of split attention.
const ATTENTION_LANES: u32 = 128;
/// Groups that a workgroup of `dot_quantize` packs.
const PACKS: u32 = 2;

impl Lowering<'_> {
    /// A linear layer on packed activations into `y`, with what was fused to it; one dispatch a part of the weight.
    pub(super) fn dot_linear(&mut self, op: &Op, y: Buffer, tail: Option<Tail>) -> Result<()> {
        let Op::Linear { x, weight, bias, .. } = op else {
            return Ok(());
        };
        let (n, k) = (weight.n, weight.k);
        self.expect("linear", "x", *x, &[k])?;
        self.expect("linear", "y", y, &[n])?;
        if let Some(bias) = bias {
            self.expect("linear", "bias", *bias, &[n])?;
        }
        let addend = match tail {
            Some(Tail::Add(addend)) => Some(addend),
            _ => None,
        };
        if let Some(addend) = addend {
            self.expect("add", "addend", addend, &[n])?;
        }
        let (acts, eps) = self.packed(*x)?;
        let then = match self.decoding.packed_by_sum.get(&self.recording.root(y)).copied() {
            Some(x) => self.pack_sum(x, n)?,
            None => Then::Store,
        };
        for part in weight.parts.iter().filter(|part| part.n_rows > 0) {
            let sharing = match then {
                Then::Store => self.sharing(LANES, k, None),
                Then::Norm { .. } => self.sharing(NORM_LANES, k, Some(2)),
            };
            self.push(DotMatvec {
                weight: self.rows(weight, part)?,
                acts,
                eps,
                bias: bias.map(|bias| self.operand(bias)),
                addend: addend.map(|addend| self.operand(addend)),
                gelu: match tail {
                    Some(Tail::Gelu(form)) => Some(form),
                    _ => None,
                },
                y: self.operand(y),
                then,
                n,
                k,
                sharing,
            })?;
        }
        Ok(())
    }

    /// Both linear layers of a SwiGLU and itself, packed for the layer behind.
    pub(super) fn dot_swiglu(&mut self, [gate, up]: [usize; 2], y: Buffer) -> Result<()> {
        let recording = self.recording;
        let (Op::Linear { x, weight: gate, .. }, Op::Linear { weight: up, .. }) = (&recording.ops[gate], &recording.ops[up])
        else {
            return Ok(());
        };
        let (n, k) = (gate.n, gate.k);
        self.expect("swiglu", "y", y, &[n])?;
        let root = self.recording.root(y);
        let order = self.decoding.packed.get(&root).map_or(0, |packed| packed.order);
        let (acts, eps) = self.packed(*x)?;
        let h = self.new_acts(root, n);
        for (gate_part, up_part) in gate.parts.iter().zip(&up.parts) {
            self.push(DotSwiGlu {
                gate: self.rows(gate, gate_part)?,
                up: self.rows(up, up_part)?,
                acts,
                eps,
                h,
                order,
                n,
                k,
                sharing: self.sharing(GATED_LANES, k, Some(1)),
            })?;
        }
        Ok(())
    }

    /// Attention of one query in splits; its result is packed if that is how it is read.
    pub(super) fn split_attention(
        &mut self,
        q: Buffer,
        cache: &KvLayer,
        state: Buffer,
        scale: f32,
        y: Buffer,
        raw: Option<RawHeads>,
    ) -> Result<()> {
        let (&[_, heads, e], &[_, block, kv_heads, cache_e]) = (self.extents(q), self.extents(cache.k)) else {
            return Err(self.rank("cached_attention", "cache", cache.k, "[n_blocks, block, K, E]"));
        };
        if block != cache.block || cache_e != e {
            return Err(self.rank("cached_attention", "cache", cache.k, "heads and blocks of the queries' size"));
        }
        self.expect("attention", "y", y, &[heads, e])?;
        let s = self.n(cache.table) * cache.block;
        let n_splits = s.div_ceil(MIN_SPLIT).clamp(1, (ATTENTION_GROUPS / kv_heads).max(1));
        let (q, raw) = match raw {
            Some(raw) => self.raw_heads(&raw, state, [heads, kv_heads, e], s)?,
            None => (self.operand(q), None),
        };
        let partial = self.scratch(partial_bytes(heads, e, n_splits));
        let team = self.variants.team;
        self.push(AttnSplit {
            q,
            raw,
            cache: Cache {
                k: self.operand(cache.k),
                v: self.operand(cache.v),
                table: self.operand(cache.table),
                state: self.operand(state),
                dtype: cache.dtype,
                block: cache.block,
                s,
            },
            partial,
            heads,
            kv_heads,
            e,
            scale,
            n_splits,
            team,
            teams: (ATTENTION_LANES / team.lanes).max(1),
        })?;
        let root = self.recording.root(y);
        let out = match self.decoding.packed.get(&root).copied() {
            Some(packed) if packed.alone => Out::Acts {
                acts: self.new_acts(root, heads * e),
                order: packed.order,
            },
            _ => Out::F32(self.operand(y)),
        };
        self.push(AttnCombine {
            partial,
            state: self.operand(state),
            out,
            heads,
            e,
            n_splits,
            s,
        })
    }

    /// Projections of queries, keys and values, and what they are normed and rotated with.
    fn raw_heads(
        &mut self,
        raw: &RawHeads,
        state: Buffer,
        [heads, kv_heads, e]: [usize; 3],
        s: usize,
    ) -> Result<(Operand, Option<Raw>)> {
        let recording = self.recording;
        let [
            Op::Linear { x, weight: q, .. },
            Op::Linear { weight: k, .. },
            Op::Linear { weight: v, .. },
        ] = raw.linears.map(|linear_idx| &recording.ops[linear_idx])
        else {
            return Err(self.rank("cached_attention", "q", raw.q_norm, "projections by linear layers"));
        };
        self.expect("linear", "x", *x, &[q.k])?;
        self.expect("rope", "map", raw.map, &[e / 2])?;
        for norm in [raw.q_norm, raw.k_norm] {
            self.expect("rms_norm", "weight", norm, &[e])?;
        }
        let &[_, f, 2] = self.extents(raw.table) else {
            return Err(self.rank("rope", "table", raw.table, "[P, F, 2]"));
        };
        let (acts, eps) = self.packed(*x)?;
        let rows = (heads + 2 * kv_heads) * e;
        let y = self.scratch(DType::F32.size_bytes(rows));
        if q.n != heads * e || k.n != kv_heads * e {
            return Err(self.rank("linear", "weight", raw.q_norm, "rows of whole heads"));
        }
        self.push(DotQkv {
            q: self.rows(q, &q.parts[0])?,
            k: self.rows(k, &k.parts[0])?,
            v: self.rows(v, &v.parts[0])?,
            acts,
            eps,
            y,
            columns: q.k,
            sharing: self.sharing(LANES, q.k, None),
        })?;
        let of = [raw.table, raw.map, raw.pos, state].map(|buffer| self.operand(buffer));
        let known = self.steps.iter().find(|(made_of, _)| *made_of == of).map(|(_, step)| *step);
        let step = match known {
            Some(step) => step,
            None => {
                let step = self.scratch(step_bytes(e));
                let [turns, map, pos, state] = of;
                self.push(AttnStep {
                    turns,
                    map,
                    pos,
                    state,
                    step,
                    e,
                    f,
                    s,
                    workgroup: self.tuning.lanes.min(64),
                })?;
                self.steps.push((of, step));
                step
            }
        };
        let raw = Raw {
            q_norm: self.operand(raw.q_norm),
            k_norm: self.operand(raw.k_norm),
            step,
            eps_q: raw.eps_q,
            eps_k: raw.eps_k,
        };
        Ok((y, Some(raw)))
    }

    /// The packed form of x, made now unless it is there, and the epsilon of the norm whose factor it lacks.
    fn packed(&mut self, x: Buffer) -> Result<(Operand, Option<f32>)> {
        let root = self.recording.root(x);
        let packed = self.decoding.packed.get(&root).copied();
        let (order, norm) = packed.map_or((0, None), |packed| (packed.order, packed.norm));
        let eps = norm.map(|norm| norm.eps);
        if let Some(&acts) = self.acts.get(&root) {
            return Ok((acts, eps));
        }
        let k = self.n(x);
        if let Some(norm) = norm {
            self.expect("rms_norm", "x", norm.source, &[k])?;
            self.expect("rms_norm", "weight", norm.weight, &[k])?;
        }
        let source = norm.map_or(x, |norm| norm.source);
        let acts = self.new_acts(root, k);
        self.push(DotQuantize {
            x: self.operand(source),
            weight: norm.map(|norm| self.operand(norm.weight)),
            acts,
            k,
            order,
            packs: PACKS,
        })?;
        Ok((acts, eps))
    }

    /// How a sum of `n` rows is packed for layers that read its norm as x.
    fn pack_sum(&mut self, x: Buffer, n: usize) -> Result<Then> {
        let Some(&Packed {
            order, norm: Some(norm), ..
        }) = self.decoding.packed.get(&x)
        else {
            return Ok(Then::Store);
        };
        self.expect("rms_norm", "weight", norm.weight, &[n])?;
        Ok(Then::Norm {
            weight: self.operand(norm.weight),
            acts: self.new_acts(x, n),
            order,
        })
    }

    fn new_acts(&mut self, root: Buffer, n: usize) -> Operand {
        let acts = self.scratch(packed_bytes(n));
        self.acts.insert(root, acts);
        acts
    }

    /// How `lanes` lanes share the rows of a weight of `k` columns. With `rows_a_run` the workgroup has 32 times as many
    /// rows in all: `Some(2)` pairs of rows of one weight, `Some(1)` a row of both.
    fn sharing(&self, lanes: u32, k: usize, rows_a_run: Option<u32>) -> Sharing {
        let team = self.variants.team;
        let limit = lanes.min(self.max_invocations).max(team.lanes);
        // Two teams share a row if it has work for both.
        let halves = k.div_ceil(32) as u32 >= 2 * team.lanes;
        let share = match rows_a_run {
            Some(1) => 1,
            _ if halves => 2,
            _ => 1,
        };
        let teams = (limit / team.lanes).max(share);
        let Some(rows) = rows_a_run else {
            return Sharing {
                team,
                teams,
                share,
                turns: 1,
            };
        };
        let runs = 32 / rows;
        let teams = teams.min(runs * share);
        Sharing {
            team,
            teams,
            share,
            turns: runs / (teams / share),
        }
    }
}
