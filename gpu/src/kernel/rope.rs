//! Rotary positions; see `shaders/rope.wgsl` and, for results of f16, `shaders/rope_four.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Amount;
use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};
use crate::error::{Error, Result};

/// Rotates `x [t, h, 2 half]`.
pub struct Rope {
    pub x: Operand,     // [t, h, 2 half] f32
    pub table: Operand, // [p, f, 2] f32
    pub map: Operand,   // [half] u32
    pub pos: Operand,   // [axes, t] u32
    pub y: Operand,     // [t, h, 2 half] f32
    pub t: usize,
    pub h: usize,
    pub half: usize,
    pub f: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub t: u32,
    pub h: u32,
    pub half: u32,
    pub f: u32,
    pub pad: [u32; 3],
}

impl Kernel for Rope {
    const NAME: &'static str = "rope";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: (self.t * self.h * self.half) as u32,
            t: self.t as u32,
            h: self.h as u32,
            half: self.half as u32,
            f: self.f as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[("x", self.x), ("table", self.table), ("map", self.map), ("pos", self.pos)],
            &[("y", self.y)],
        )
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.t * self.h * self.half, self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let (angles, whole) = (self.t * self.half * 8, self.table.size_bytes as usize);
        Cost::whole(bindings)
            .lanes(self.t * self.h * self.half, 6)
            .touch(bindings, "table", Amount::fixed(angles.min(whole)))
    }
}

/// Rotates `x [t, h, 2 half]` to f16; the half is a multiple of four.
pub struct RopeFour {
    /// Its y is f16, its x too if `from_f16`.
    pub rope: Rope,
    pub from_f16: bool,
}

impl Kernel for RopeFour {
    const NAME: &'static str = "rope_four";
    type Params = Params;

    /// Errors: `Shape` for halves that are not of whole vectors.
    fn check(&self) -> Result<()> {
        if self.rope.half.is_multiple_of(4) {
            return Ok(());
        }
        Err(Error::Shape {
            op: "rope",
            operand: "x",
            found: format!("heads of {}", 2 * self.rope.half),
            expected: "a multiple of 8, for a result of f16".into(),
        })
    }

    fn params(&self) -> Params {
        let Params { n, half, .. } = self.rope.params();
        Params {
            n: n / 4,
            half: half / 4,
            ..self.rope.params()
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        self.rope.bindings()
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![if self.from_f16 { "vector_f16" } else { "vector_f32" }]
    }

    fn overrides(&self) -> Vec<Override> {
        self.rope.overrides()
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.rope.t * self.rope.h * self.rope.half / 4, self.rope.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.rope.invocations()
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        self.rope.cost(bindings)
    }
}
