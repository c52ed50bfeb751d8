//! Rows of a table by id; see `shaders/embed.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Amount;
use super::linear::WeightRows;
use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};
use crate::weights::GROUP;

/// `y[t] = W[ids[t]]` for the ids of one part of the table.
pub struct Embed {
    pub weight: WeightRows,
    pub ids: Operand, // [t] u32
    pub y: Operand,   // [t, d] f32
    pub t: usize,
    pub d: usize,
    /// Writes zeros for ids of other parts (the first part does).
    pub fill: bool,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub d: u32,
    pub row4: u32,
    pub first_row: u32,
    pub n_rows: u32,
    pub fill: u32,
    pub pad: [u32; 2],
}

impl Kernel for Embed {
    const NAME: &'static str = "embed";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n4: (self.t * self.d.div_ceil(4)) as u32,
            d: self.d as u32,
            row4: (self.weight.k_padded / 4) as u32,
            first_row: self.weight.first_row as u32,
            n_rows: self.weight.n_rows as u32,
            fill: self.fill.into(),
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = group0(&[("ids", self.ids)], &[("y", self.y)]);
        bindings.extend(self.weight.bindings());
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![self.weight.part()]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.t * self.d.div_ceil(4), self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let stored = |bits: usize| Amount::fixed(self.t * self.weight.k_padded * bits / 8);
        Cost::whole(bindings)
            .lanes(self.t * self.d, 2)
            .touch(bindings, "packed", stored(self.weight.format.bits()))
            .touch(bindings, "scales", Amount::fixed(self.t * self.weight.k_padded / GROUP * 2))
    }
}
