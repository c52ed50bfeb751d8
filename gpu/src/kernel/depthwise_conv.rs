//! Convolution along time, each channel by itself; see `shaders/depthwise_conv.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane an output.
pub struct DepthwiseConv {
    pub x: Operand,       // [t, d] f32
    pub lengths: Operand, // [4] u32
    pub weight: Operand,  // [k, d] f32
    pub bias: Operand,    // [d] f32
    pub y: Operand,       // [t, d] f32
    pub t: usize,
    pub d: usize,
    pub k: usize,
    pub level: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub t: u32,
    pub d: u32,
    pub k: u32,
    pub level: u32,
}

impl Kernel for DepthwiseConv {
    const NAME: &'static str = "depthwise_conv";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            t: self.t as u32,
            d: self.d as u32,
            k: self.k as u32,
            level: self.level as u32,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[
                ("x", self.x),
                ("lengths", self.lengths),
                ("weight", self.weight),
                ("bias", self.bias),
            ],
            &[("y", self.y)],
        )
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
