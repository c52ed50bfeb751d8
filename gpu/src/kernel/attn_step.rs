//! What attention of one token needs of the step; see `shaders/attn_step.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Class;
use super::{Binding, Cost, Kernel, Operand, Override, group0};

/// Keys of the step, and the rotation of its position.
pub struct AttnStep {
    pub turns: Operand, // [P, f, 2] f32: cos and sin
    pub map: Operand,   // [e / 2] u32
    pub pos: Operand,   // [A] u32
    pub state: Operand,
    pub step: Operand, // see `step_bytes`
    pub e: usize,
    pub f: usize,
    /// Tokens that the block table can name.
    pub s: usize,
    pub workgroup: u32,
}

/// Bytes of what it leaves for heads of `e`.
pub fn step_bytes(e: usize) -> u64 {
    8 * (e as u64 / 2 + 1)
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub half: u32,
    pub f: u32,
    pub s: u32,
    pub pad: u32,
}

impl Kernel for AttnStep {
    const NAME: &'static str = "attn_step";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            half: self.e as u32 / 2,
            f: self.f as u32,
            s: self.s as u32,
            pad: 0,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[
                ("turns", self.turns),
                ("map", self.map),
                ("pos", self.pos),
                ("state", self.state),
            ],
            &[("step", self.step)],
        )
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

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let turn = super::cost::Amount::fixed(8 * self.f);
        Cost::whole(bindings).class(Class::Lanes).touch(bindings, "turns", turn)
    }
}
