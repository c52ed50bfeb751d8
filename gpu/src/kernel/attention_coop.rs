//! Attention of many queries by cooperative matrices; see `shaders/attention_coop.wgsl`.

use super::attention::{Heads, Keys, Params};
use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Override};
use crate::error::{Error, Result};
use crate::tensor::DType;

/// Queries and keys of a tile, and lanes of a workgroup, as in the shader.
const QUERIES: u32 = 128;
const KEYS: u32 = 32;
const LANES: u32 = 256;
/// Largest head.
pub const MAX_E: usize = 128;

/// Online softmax over tiles of keys: a workgroup 128 queries of a head.
pub struct AttentionCoop {
    /// Its q and y are f16.
    pub heads: Heads,
    /// Dense keys and values are f16.
    pub half: bool,
}

/// Values of a head as the matrices have them.
fn width(e: usize) -> u32 {
    if e <= 80 { 80 } else { 128 }
}

/// Bytes of workgroup memory for heads of `e`.
pub fn shared_bytes(e: usize) -> u32 {
    let tiles = 2 * KEYS * (2 * width(e) + 16);
    let scores = QUERIES * 9 * 16;
    let weights = QUERIES * 10 * 8;
    tiles + scores + weights + 16
}

impl Kernel for AttentionCoop {
    const NAME: &'static str = "attention_coop";
    type Params = Params;

    fn check(&self) -> Result<()> {
        self.heads.check()?;
        if self.heads.s > 0 && self.heads.e <= MAX_E {
            return Ok(());
        }
        Err(Error::Shape {
            op: "attention_coop",
            operand: "k",
            found: format!("{} keys of {}", self.heads.s, self.heads.e),
            expected: "some keys, heads up to 128".into(),
        })
    }

    fn params(&self) -> Params {
        self.heads.params()
    }

    fn bindings(&self) -> Vec<Binding> {
        self.heads.bindings()
    }

    fn parts(&self) -> Vec<&'static str> {
        let pages = match self.heads.keys {
            Keys::Dense { .. } if self.half => "pages_halves",
            Keys::Dense { .. } => "pages_dense",
            Keys::Cache { dtype: DType::F16, .. } => "pages_cache_f16",
            Keys::Cache { .. } => "pages_cache_f32",
        };
        let width = match width(self.heads.e) {
            80 => "width_80",
            _ => "width_128",
        };
        vec![pages, width]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("E4", self.heads.e as u32 / 4)]
    }

    fn grid(&self) -> [u32; 3] {
        [(self.heads.t as u32).div_ceil(QUERIES), self.heads.heads as u32, 1]
    }

    fn invocations(&self) -> u32 {
        LANES
    }

    fn shared_bytes(&self) -> u32 {
        shared_bytes(self.heads.e)
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        // The same work as that of the f32 kernel; the products are the matrices'.
        let mut cost = self.heads.cost(bindings, QUERIES as usize).class(Class::Attention);
        let all = cost.operations[Unit::F32 as usize];
        let (e, share) = (self.heads.e as u64, 4 * self.heads.e as u64 + 12);
        let products = Amount {
            fixed: all.fixed / share * 4 * e,
            per_cached_token: all.per_cached_token / share * 4 * e,
        };
        cost.operations[Unit::F32 as usize] = all.minus(products);
        cost.compute(Unit::Matrix, products)
    }
}
