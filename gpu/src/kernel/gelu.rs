//! GELU on its own; see `shaders/gelu.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::linear::gelu_word;
use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};
use crate::recording::GeluForm;

/// `y = gelu(x)`.
pub struct Gelu {
    pub x: Operand, // [n] f32
    pub form: GeluForm,
    pub y: Operand, // [n] f32
    pub n: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub form: u32,
    pub pad: [u32; 2],
}

impl Kernel for Gelu {
    const NAME: &'static str = "gelu";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n4: self.n.div_ceil(4) as u32,
            form: gelu_word(Some(self.form)),
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

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings).lanes(self.n, 16)
    }
}
