//! The row of the last token; see `shaders/take_last.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Amount;
use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// `y = x[max(state.n_tokens, 1) - 1]`.
pub struct TakeLast {
    pub x: Operand,     // [t, d] f32
    pub state: Operand, // words of `State`
    pub y: Operand,     // [1, d] f32
    pub t: usize,
    pub d: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub t: u32,
    pub d: u32,
    pub pad: [u32; 2],
}

impl Kernel for TakeLast {
    const NAME: &'static str = "take_last";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            t: self.t as u32,
            d: self.d as u32,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("x", self.x), ("state", self.state)], &[("y", self.y)])
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

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings)
            .lanes(self.d, 1)
            .touch(bindings, "x", Amount::fixed(4 * self.d))
    }
}
