//! Convolution that halves time and frequency; see `shaders/conv_down.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane an output.
pub struct ConvDown {
    pub x: Operand,       // [t, f, c] f32, or [t, f, 1]
    pub lengths: Operand, // [4] u32
    pub weight: Operand,  // [9, c] f32
    pub bias: Operand,    // [c] f32
    pub y: Operand,       // [⌈t/2⌉, ⌈f/2⌉, c] f32
    pub extents: [usize; 3],
    /// Every channel reads the only one of x.
    pub shared: bool,
    pub level: usize,
    pub relu: bool,
    pub workgroup: u32,
}

impl ConvDown {
    fn n(&self) -> usize {
        let [t, f, c] = self.extents;
        t.div_ceil(2) * f.div_ceil(2) * c
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub t: u32,
    pub f: u32,
    pub c: u32,
    pub channel_step: u32,
    pub level: u32,
    pub relu: u32,
    pub n: u32,
    pub f_out: u32,
}

impl Kernel for ConvDown {
    const NAME: &'static str = "conv_down";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            t: self.extents[0] as u32,
            f: self.extents[1] as u32,
            c: self.extents[2] as u32,
            channel_step: u32::from(!self.shared),
            level: self.level as u32,
            relu: u32::from(self.relu),
            n: self.n() as u32,
            f_out: self.extents[1].div_ceil(2) as u32,
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
        lanes(self.n(), self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }
}
