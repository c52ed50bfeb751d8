//! The gates of an LSTM; see `shaders/lstm_cell.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0, lanes};

/// A lane a unit.
pub struct LstmCell {
    pub gates: Operand, // [1, 4 d] f32
    pub state: Operand, // words of `TdtState`
    pub h: Operand,     // [1, d] f32
    pub c: Operand,     // [1, d] f32
    pub d: usize,
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub d: u32,
    pub pad: [u32; 3],
}

impl Kernel for LstmCell {
    const NAME: &'static str = "lstm_cell";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            d: self.d as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[("gates", self.gates), ("state", self.state)],
            &[("h", self.h), ("c", self.c)],
        )
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
