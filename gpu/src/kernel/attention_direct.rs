//! Attention of many queries on CPUs; see `shaders/attention_direct.wgsl`.

use super::attention::{Heads, Keys, Params};
use super::cost::Class;
use super::{Binding, Cost, Kernel, Override};
use crate::error::Result;

/// Lanes of a workgroup, as in the shader.
const LANES: u32 = 8;
/// Largest head that is kept in registers: beyond it drivers do not unroll the loops, and compile for half a minute.
pub const MAX_E: usize = 72;

/// Online softmax, a key at a time.
pub struct AttentionDirect {
    pub heads: Heads,
    /// Queries of a lane: 2 or 4.
    pub rows: u32,
}

/// How many queries a lane takes: drivers unroll only so much code; longer heads take more, and so does reading the cache.
pub fn rows(heads: &Heads) -> u32 {
    match heads.keys {
        Keys::Dense { .. } if heads.e <= 64 => 4,
        _ => 2,
    }
}

impl Kernel for AttentionDirect {
    const NAME: &'static str = "attention_direct";
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
        vec![self.heads.part(), if self.rows == 4 { "rows_four" } else { "rows_two" }]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("E4", self.heads.e as u32 / 4)]
    }

    fn grid(&self) -> [u32; 3] {
        [(self.heads.t as u32).div_ceil(LANES * self.rows), self.heads.heads as u32, 1]
    }

    fn invocations(&self) -> u32 {
        LANES
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let queries = (LANES * self.rows) as usize;
        self.heads.cost(bindings, queries).class(Class::Attention)
    }
}
