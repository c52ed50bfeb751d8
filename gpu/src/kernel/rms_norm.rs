//! Root mean square norm; see `shaders/rms_norm.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Operand, Override, folded, group0};

/// Normalises rows: a workgroup a row.
pub struct RmsNorm {
    pub x: Operand,      // [n_rows, d] f32
    pub weight: Operand, // [d] f32
    pub y: Operand,      // [n_rows, d] f32
    pub n_rows: usize,
    pub d: usize,
    pub eps: f32,
    /// Lanes that share a row; a power of two.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n_rows: u32,
    pub d: u32,
    pub eps: f32,
    pub pad: u32,
}

impl Kernel for RmsNorm {
    const NAME: &'static str = "rms_norm";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n_rows: self.n_rows as u32,
            d: self.d as u32,
            eps: self.eps,
            pad: 0,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(&[("x", self.x), ("weight", self.weight)], &[("y", self.y)])
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        folded(self.n_rows)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn shared_bytes(&self) -> u32 {
        4 * self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let n = self.n_rows * self.d;
        Cost::whole(bindings)
            .class(Class::Rows)
            .compute(Unit::F32, Amount::fixed(4 * n))
            .read_again(Amount::fixed(4 * n))
    }
}
