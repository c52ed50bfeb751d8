//! Lets a step's dispatches run, or none of them; see `shaders/gate.wgsl`. Engines put it in front of a plan.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0};

/// Writes the grids of `n_dispatches` dispatches.
pub struct Gate {
    pub planned: Operand, // [n_dispatches, 3] u32
    pub state: Operand,
    pub grids: Operand, // [n_dispatches, 3] u32
    pub n_dispatches: usize,
    pub workgroup: u32,
}

/// Bytes of one grid.
pub const GRID_BYTES: u64 = 12;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub pad: [u32; 3],
}

impl Kernel for Gate {
    const NAME: &'static str = "gate";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: 3 * self.n_dispatches as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("planned", self.planned), ("state", self.state)], &[("grids", self.grids)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }
}
