//! Pixels to patch vectors; see `shaders/patchify.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// Frames `[n_frames, height, width, 3]` u8 to `y [P, 6 side²]` f32.
pub struct Patchify {
    pub frames: Operand, // u8, four in a word
    pub n_frames: usize,
    pub height: usize,
    pub width: usize,
    pub side: usize, // pixels a patch side
    pub y: Operand,  // f32
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

impl Patchify {
    /// Values of y: both time slots of every pixel.
    fn n(&self) -> usize {
        6 * self.height * self.width
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub n_frames: u32,
    pub height: u32,
    pub width: u32,
    pub side: u32,
    pub pad: [u32; 3],
}

impl Kernel for Patchify {
    const NAME: &'static str = "patchify";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: self.n() as u32,
            n_frames: self.n_frames as u32,
            height: self.height as u32,
            width: self.width as u32,
            side: self.side as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("frames", self.frames)], &[("y", self.y)])
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

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings).lanes(self.n(), 2)
    }
}
