//! Rotary positions; see `shaders/rope.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Amount;
use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// Rotates `x [t, h, 2 half]`.
pub struct Rope {
    pub x: Operand,     // [t, h, 2 half] f32
    pub table: Operand, // [p, f, 2] f32
    pub map: Operand,   // [half] u32
    pub pos: Operand,   // [axes, t] u32
    pub y: Operand,     // [t, h, 2 half] f32, or f16 if `to_f16`
    pub to_f16: bool,
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

    fn parts(&self) -> Vec<&'static str> {
        vec![if self.to_f16 { "turned_f16" } else { "turned_f32" }]
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
