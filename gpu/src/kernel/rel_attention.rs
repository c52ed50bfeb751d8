//! Attention with relative positions; see `shaders/rel_attention.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0};
use crate::error::{Error, Result};

/// Queries of a tile, as in the shader.
const QUERIES: usize = 16;

/// A workgroup 16 queries of a head.
pub struct RelAttention {
    pub q: Operand,       // [t, heads, e] f32
    pub k: Operand,       // [t, heads, e] f32
    pub values: Operand,  // [t, heads, e] f32
    pub r: Operand,       // [2 t - 1, heads, e] f32
    pub u: Operand,       // [heads, e] f32
    pub v: Operand,       // [heads, e] f32
    pub lengths: Operand, // [4] u32
    pub y: Operand,       // [t, heads, e] f32
    pub t: usize,
    pub heads: usize,
    pub e: usize,
    pub level: usize,
    pub scale: f32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub t: u32,
    pub heads: u32,
    pub level: u32,
    pub scale: f32,
}

impl Kernel for RelAttention {
    const NAME: &'static str = "rel_attention";
    type Params = Params;

    fn check(&self) -> Result<()> {
        if self.e.is_multiple_of(4) && (4..=128).contains(&self.e) {
            return Ok(());
        }
        Err(Error::Shape {
            op: Self::NAME,
            operand: "q",
            found: format!("heads of {}", self.e),
            expected: "a head size that is a multiple of 4 up to 128".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            t: self.t as u32,
            heads: self.heads as u32,
            level: self.level as u32,
            scale: self.scale,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[
                ("q", self.q),
                ("k", self.k),
                ("values", self.values),
                ("r", self.r),
                ("u", self.u),
                ("v", self.v),
                ("lengths", self.lengths),
            ],
            &[("y", self.y)],
        )
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("E4", self.e as u32 / 4)]
    }

    fn grid(&self) -> [u32; 3] {
        [self.t.div_ceil(QUERIES) as u32, self.heads as u32, 1]
    }

    fn invocations(&self) -> u32 {
        64
    }

    fn shared_bytes(&self) -> u32 {
        16 * QUERIES as u32 * self.e as u32 / 4 + 4 * 1024 + 8 * 64
    }
}
