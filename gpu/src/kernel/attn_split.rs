//! Attention of one query over splits of the cache; see `shaders/attn_split.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::dot::Team;
use super::{Access, Binding, Cost, Kernel, Operand, Override, group0};
use crate::error::{Error, Result};
use crate::tensor::DType;

/// Norms and rotation of what the projections give.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    pub q_norm: Operand, // [e] f32
    pub k_norm: Operand, // [e] f32
    pub step: Operand,   // as `attn_step` leaves it
    pub eps_q: f32,
    pub eps_k: f32,
}

/// The cache of a layer, and who says where its tokens are.
#[derive(Clone, Copy, Debug)]
pub struct Cache {
    pub k: Operand, // [n_blocks, block, kv_heads, e]
    pub v: Operand,
    pub table: Operand, // [s / block] u32
    pub state: Operand,
    pub dtype: DType,
    pub block: usize,
    /// Tokens that the table can name.
    pub s: usize,
}

/// Query heads of one kv head over a split of the keys; with `raw`, all comes from the projections and the newest token is
/// appended here.
pub struct AttnSplit {
    /// `[heads, e]` f32, or with `raw` `[heads + 2 kv_heads, e]`: queries, keys, values.
    pub q: Operand,
    pub raw: Option<Raw>,
    pub cache: Cache,
    pub partial: Operand, // see `partial_bytes`
    pub heads: usize,
    pub kv_heads: usize,
    pub e: usize,
    pub scale: f32,
    pub n_splits: usize,
    pub team: Team,
    pub teams: u32,
}

/// Query heads that a workgroup takes.
const HEADS: usize = 4;

/// Bytes of what `attn_split` leaves for `attn_combine`.
pub fn partial_bytes(heads: usize, e: usize, n_splits: usize) -> u64 {
    DType::F32.size_bytes(heads * n_splits * (e + 2))
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub heads: u32,
    pub kv_heads: u32,
    pub s: u32,
    pub block: u32,
    pub n_splits: u32,
    pub scale: f32,
    pub eps_q: f32,
    pub eps_k: f32,
}

impl AttnSplit {
    /// Can the kernel take such heads, from their projections or ready?
    pub fn takes(heads: usize, kv_heads: usize, e: usize, raw: bool) -> bool {
        let whole = e.is_multiple_of(8) && (8..=128).contains(&e) && kv_heads > 0 && heads.is_multiple_of(kv_heads);
        whole && (!raw || heads / kv_heads <= HEADS)
    }

    fn lanes(&self) -> u32 {
        self.team.lanes * self.teams
    }
}

impl Kernel for AttnSplit {
    const NAME: &'static str = "attn_split";
    type Params = Params;

    /// Errors: `Shape` for heads that it cannot take.
    fn check(&self) -> Result<()> {
        let (heads, kv_heads, e) = (self.heads, self.kv_heads, self.e);
        if Self::takes(heads, kv_heads, e, self.raw.is_some()) && self.lanes() as usize >= e {
            return Ok(());
        }
        Err(Error::Shape {
            op: "cached_attention",
            operand: "q",
            found: format!("{heads} heads of {e} over {kv_heads}"),
            expected: "a head size that is a multiple of 8 up to 128, heads a multiple of kv heads".into(),
        })
    }

    fn params(&self) -> Params {
        let raw = self.raw.as_ref();
        Params {
            heads: self.heads as u32,
            kv_heads: self.kv_heads as u32,
            s: self.cache.s as u32,
            block: self.cache.block as u32,
            n_splits: self.n_splits as u32,
            scale: self.scale,
            eps_q: raw.map_or(0.0, |raw| raw.eps_q),
            eps_k: raw.map_or(0.0, |raw| raw.eps_k),
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let reads = match &self.raw {
            None => vec![("q", self.q)],
            Some(raw) => vec![
                ("qkv", self.q),
                ("q_norm", raw.q_norm),
                ("k_norm", raw.k_norm),
                ("step", raw.step),
            ],
        };
        let mut bindings = group0(&reads, &[("partial", self.partial)]);
        let cache = &self.cache;
        let mut of_cache = vec![
            ("k_cache", Access::ReadWrite, cache.k),
            ("v_cache", Access::ReadWrite, cache.v),
            ("table", Access::Read, cache.table),
        ];
        if self.raw.is_none() {
            of_cache.push(("state", Access::Read, cache.state));
        }
        bindings.extend(
            (0..)
                .zip(of_cache)
                .map(|(index, (name, access, operand))| Binding::new(1, index, name, access, operand)),
        );
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        let query = match self.raw {
            Some(_) => "query_raw",
            None => "query_ready",
        };
        let eight = match self.cache.dtype {
            DType::F16 => "eight_f16",
            _ => "eight_f32",
        };
        vec![query, eight, self.team.part()]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("LANES", self.team.lanes), ("TEAMS", self.teams), ("E", self.e as u32)]
    }

    fn grid(&self) -> [u32; 3] {
        let chunks = (self.heads / self.kv_heads.max(1)).div_ceil(HEADS);
        [self.n_splits as u32, self.kv_heads as u32, chunks as u32]
    }

    fn invocations(&self) -> u32 {
        self.lanes()
    }

    fn shared_bytes(&self) -> u32 {
        let new_key = self.raw.map_or(0, |_| 4 * self.e as u32);
        self.team.shared_bytes(self.teams) + 32 + 16 * self.e as u32 + (16 + 64) * self.lanes() + new_key
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let (heads, e) = (self.heads, self.e);
        let row_bytes = self.cache.dtype.size_bytes(self.kv_heads * e) as usize;
        let read = Amount::growing(row_bytes, row_bytes);
        let pairs = Amount::growing(heads, heads);
        Cost::whole(bindings)
            .class(Class::Decoding)
            .touch(bindings, "k_cache", read)
            .touch(bindings, "v_cache", read)
            .touch(bindings, "table", Amount::fixed(4))
            .touch(bindings, "partial", Amount::fixed(partial_bytes(heads, e, 1) as usize))
            .compute(Unit::F32, pairs.times(4 * e + 10))
    }
}
