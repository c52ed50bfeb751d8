//! Channels before frequencies; see `shaders/swap_relu.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane a value.
pub struct SwapRelu {
    pub x: Operand,       // [t, f, c] f32
    pub lengths: Operand, // [4] u32
    pub y: Operand,       // [t, c, f] f32
    pub extents: [usize; 3],
    pub level: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub f: u32,
    pub c: u32,
    pub level: u32,
    pub n: u32,
}

impl Kernel for SwapRelu {
    const NAME: &'static str = "swap_relu";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            f: self.extents[1] as u32,
            c: self.extents[2] as u32,
            level: self.level as u32,
            n: self.extents.iter().product::<usize>() as u32,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("x", self.x), ("lengths", self.lengths)], &[("y", self.y)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.extents.iter().product(), self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }
}
