//! Gated unit; see `shaders/swiglu.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// `y = silu(gate) · up`.
pub struct SwiGlu {
    pub gate: Operand, // [n] f32
    pub up: Operand,   // [n] f32
    pub y: Operand,    // [n] f32
    pub n: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub pad: [u32; 3],
}

impl Kernel for SwiGlu {
    const NAME: &'static str = "swiglu";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n4: self.n.div_ceil(4) as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("gate", self.gate), ("up", self.up)], &[("y", self.y)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.n.div_ceil(4), self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings).lanes(self.n, 12)
    }
}
