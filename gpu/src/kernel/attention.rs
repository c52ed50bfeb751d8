//! Attention of many queries; see `shaders/attention.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Operand, Override, group0, group1};
use crate::error::{Error, Result};
use crate::tensor::DType;

/// Queries and keys of a tile, as in the shader.
const QUERIES: u32 = 32;
const KEYS: u32 = 16;

/// Where keys and values come from.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// `[s, kv_heads, e]` f32; every query sees all.
    Dense { k: Operand, v: Operand },
    /// `[n_blocks, block, kv_heads, e]` behind a block table; causal.
    Cache {
        k: Operand,
        v: Operand,
        table: Operand,
        state: Operand,
        dtype: DType,
        block: usize,
    },
}

/// What `attention` and `attn_decode` share.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    pub q: Operand, // [t, heads, e] f32
    pub keys: Keys,
    pub y: Operand, // [t, heads, e] f32
    pub t: usize,
    /// Keys, or tokens that the block table can name.
    pub s: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub e: usize,
    pub scale: f32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub t: u32,
    pub s: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub scale: f32,
    pub block: u32,
    pub pad: [u32; 2],
}

impl Heads {
    /// Errors: `Shape` unless the head size is a multiple of 4 up to 128 and the heads divide evenly.
    pub fn check(&self) -> Result<()> {
        let (e, heads, kv_heads) = (self.e, self.heads, self.kv_heads);
        if e.is_multiple_of(4) && (4..=128).contains(&e) && kv_heads > 0 && heads.is_multiple_of(kv_heads) {
            return Ok(());
        }
        Err(Error::Shape {
            op: "attention",
            operand: "q",
            found: format!("{heads} heads of {e} over {kv_heads}"),
            expected: "a head size that is a multiple of 4 up to 128, heads a multiple of kv heads".into(),
        })
    }

    pub fn params(&self) -> Params {
        Params {
            t: self.t as u32,
            s: self.s as u32,
            heads: self.heads as u32,
            kv_heads: self.kv_heads as u32,
            scale: self.scale,
            block: match self.keys {
                Keys::Dense { .. } => 1,
                Keys::Cache { block, .. } => block as u32,
            },
            pad: [0; 2],
        }
    }

    pub fn bindings(&self) -> Vec<Binding> {
        let mut bindings = group0(&[("q", self.q)], &[("y", self.y)]);
        bindings.extend(match self.keys {
            Keys::Dense { k, v } => group1(&[("keys", k), ("values", v)], &[]),
            Keys::Cache { k, v, table, state, .. } => {
                group1(&[("keys", k), ("values", v), ("table", table), ("state", state)], &[])
            }
        });
        bindings
    }

    /// What attention costs when a workgroup takes `queries` queries of one head and walks the keys that they see.
    pub fn cost(&self, bindings: &[Binding], queries: usize) -> Cost {
        let (t, e) = (self.t, self.e);
        let tiles = t.div_ceil(queries.max(1));
        // Keys that are there, pairs of a query and a key that it sees, and keys that the tiles of a head walk.
        let (keys, pairs, walked, bytes) = match self.keys {
            Keys::Dense { k, .. } => {
                let of = |n: usize| Amount::fixed(n * self.s);
                // f32 or f16.
                let bytes = k.size_bytes as usize / (self.s * self.kv_heads * e).max(1);
                (of(1), of(t), of(tiles), bytes)
            }
            Keys::Cache { dtype, .. } => (
                Amount::growing(t, 1),
                Amount::growing(t * (t + 1) / 2, t),
                Amount::growing(queries.min(t) * tiles * (tiles + 1) / 2, tiles),
                dtype.size_bytes(4) as usize / 4,
            ),
        };
        let side = keys.times(self.kv_heads * e * bytes);
        let read = walked.times(2 * self.heads * e * bytes);
        let block = match self.keys {
            Keys::Dense { .. } => 1,
            Keys::Cache { block, .. } => block.max(1),
        };
        Cost::whole(bindings)
            .touch(bindings, "keys", side)
            .touch(bindings, "values", side)
            .touch(bindings, "table", Amount::fixed(4 * t.div_ceil(block)))
            .read_again(read.minus(side.times(2)))
            // Two products, and the softmax between them.
            .compute(Unit::F32, pairs.times(self.heads * (4 * e + 12)))
    }

    /// The part of role `keys`.
    pub fn part(&self) -> &'static str {
        match self.keys {
            Keys::Dense { .. } => "keys_dense",
            Keys::Cache { dtype: DType::F16, .. } => "keys_cache_f16",
            Keys::Cache { .. } => "keys_cache_f32",
        }
    }
}

/// Online softmax over tiles of keys: a workgroup 32 queries of a head.
pub struct Attention {
    pub heads: Heads,
}

impl Kernel for Attention {
    const NAME: &'static str = "attention";
    type Params = Params;

    fn check(&self) -> Result<()> {
        self.heads.check()
    }

    fn params(&self) -> Params {
        self.heads.params()
    }

    fn bindings(&self) -> Vec<Binding> {
        self.heads.bindings()
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![self.heads.part()]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("E4", self.heads.e as u32 / 4)]
    }

    fn grid(&self) -> [u32; 3] {
        [(self.heads.t as u32).div_ceil(QUERIES), self.heads.heads as u32, 1]
    }

    fn invocations(&self) -> u32 {
        64
    }

    fn shared_bytes(&self) -> u32 {
        KEYS * self.heads.e as u32 * 4 + QUERIES * KEYS * 4 + 2 * QUERIES * 4
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        self.heads.cost(bindings, QUERIES as usize).class(Class::Attention)
    }
}
