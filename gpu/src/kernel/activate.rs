//! Activations; see `shaders/activate.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};
use crate::recording::speech::Activation;

/// A lane four values.
pub struct Activate {
    pub x: Operand, // [n] f32
    pub form: Activation,
    pub y: Operand, // [n] f32
    pub n: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub relu: u32,
    pub pad: [u32; 2],
}

impl Kernel for Activate {
    const NAME: &'static str = "activate";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n4: self.n.div_ceil(4) as u32,
            relu: u32::from(self.form == Activation::Relu),
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
        lanes(self.n.div_ceil(4), self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }
}
