//! What the joint network's last matrix is given; see `shaders/tdt_hidden.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane a value.
pub struct TdtHidden {
    pub enc: Operand,   // [t, d] f32
    pub g: Operand,     // [1, d] f32
    pub state: Operand, // words of `TdtState`
    pub y: Operand,     // [1, d] f32
    pub t: usize,
    pub d: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub t: u32,
    pub d: u32,
    pub pad: [u32; 2],
}

impl Kernel for TdtHidden {
    const NAME: &'static str = "tdt_hidden";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            t: self.t as u32,
            d: self.d as u32,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("enc", self.enc), ("g", self.g), ("state", self.state)], &[("y", self.y)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.d, self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }
}
