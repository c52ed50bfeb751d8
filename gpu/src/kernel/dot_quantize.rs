//! Packs activations for integer dot products; see `shaders/dot_quantize.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Operand, Override, dot, group0};

/// x, or x · weight, as packed activations.
pub struct DotQuantize {
    pub x: Operand,              // [k] f32
    pub weight: Option<Operand>, // [k] f32: of the RMS norm that follows
    pub acts: Operand,           // packed, [k]
    pub k: usize,
    pub order: u32,
    /// Groups of a workgroup.
    pub packs: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub k: u32,
    pub has_norm: u32,
    pub order: u32,
    pub pad: u32,
}

impl Kernel for DotQuantize {
    const NAME: &'static str = "dot_quantize";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            k: self.k as u32,
            has_norm: self.weight.is_some().into(),
            order: self.order,
            pad: 0,
        }
    }

    /// A weight that is absent is bound to x, which the shader does not read through it.
    fn bindings(&self) -> Vec<Binding> {
        let weight = self.weight.unwrap_or(self.x);
        group0(&[("x", self.x), ("weight", weight)], &[("acts_out", self.acts)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("PACKS", self.packs)]
    }

    fn grid(&self) -> [u32; 3] {
        [self.k.div_ceil(32 * self.packs as usize) as u32, 1, 1]
    }

    fn invocations(&self) -> u32 {
        32 * self.packs
    }

    fn shared_bytes(&self) -> u32 {
        dot::pack_bytes(self.packs)
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings)
            .class(Class::Lanes)
            .compute(Unit::F32, Amount::fixed(80 * self.k))
    }
}
