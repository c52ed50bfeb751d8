//! Gated linear unit; see `shaders/glu.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane a value.
pub struct Glu {
    pub x: Operand, // [t, 2 d] f32
    pub y: Operand, // [t, d] f32
    pub t: usize,
    pub d: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub d: u32,
    pub pad: [u32; 2],
}

impl Kernel for Glu {
    const NAME: &'static str = "glu";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: (self.t * self.d) as u32,
            d: self.d as u32,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("x", self.x)], &[("y", self.y)])
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
}
