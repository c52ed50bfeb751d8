//! A sum with a factor; see `shaders/add_scaled.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane four values.
pub struct AddScaled {
    pub a: Operand, // [n] f32
    pub b: Operand, // [n] f32
    pub y: Operand, // [n] f32
    pub scale: f32,
    pub n: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub scale: f32,
    pub pad: [u32; 2],
}

impl Kernel for AddScaled {
    const NAME: &'static str = "add_scaled";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n4: self.n.div_ceil(4) as u32,
            scale: self.scale,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("a", self.a), ("b", self.b)], &[("y", self.y)])
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
}
