//! Rows added where a mask says; see `shaders/masked_add.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// `y[t] = x[t] + (mask[t] ≠ 0 ? rows[t] : 0)`.
pub struct MaskedAdd {
    pub x: Operand,    // [t, d] f32
    pub rows: Operand, // [t, d] f32
    pub mask: Operand, // [t] u32
    pub y: Operand,    // [t, d] f32
    pub t: usize,
    pub d: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub d: u32,
    pub pad: [u32; 2],
}

impl Kernel for MaskedAdd {
    const NAME: &'static str = "masked_add";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: (self.t * self.d) as u32,
            d: self.d as u32,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("x", self.x), ("rows", self.rows), ("mask", self.mask)], &[("y", self.y)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.t * self.d, self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings).lanes(self.t * self.d, 1)
    }
}
