//! f32 to f16; see `shaders/halve.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// `y = x` in f16.
pub struct Halve {
    pub x: Operand, // [n] f32
    pub y: Operand, // [n] f16
    pub n: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub pad: [u32; 3],
}

impl Kernel for Halve {
    const NAME: &'static str = "halve";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n4: self.n.div_ceil(4) as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("x", self.x)], &[("y", self.y)])
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
        Cost::whole(bindings).lanes(self.n, 1)
    }
}
