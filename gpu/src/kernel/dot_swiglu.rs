//! Gate, up and SwiGLU of one packed vector; see `shaders/dot_swiglu.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::dot::{self, Sharing};
use super::linear::WeightRows;
use super::{Binding, Cost, Kernel, Operand, Override, group0, group1};
use crate::error::{Error, Result};

/// `h = silu(f · G x) · (f · U x)`, packed, for a run of rows of both weights.
pub struct DotSwiGlu {
    pub gate: WeightRows,
    pub up: WeightRows,
    pub acts: Operand, // packed, [k]
    /// f: the factor of the RMS norm whose weight is in `acts`, by its epsilon.
    pub eps: Option<f32>,
    pub h: Operand, // packed, [n]
    pub order: u32,
    /// Rows of the whole weights.
    pub n: usize,
    pub k: usize,
    pub sharing: Sharing,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub k: u32,
    pub n_rows: u32,
    pub first_row: u32,
    pub groups: u32,
    pub has_norm: u32,
    pub eps: f32,
    pub order: u32,
}

impl Kernel for DotSwiGlu {
    const NAME: &'static str = "dot_swiglu";
    type Params = Params;

    /// Errors: `Shape` unless both weights are of one format of integers and have the same rows, in whole groups.
    fn check(&self) -> Result<()> {
        let of = |rows: &WeightRows| (rows.format, rows.first_row, rows.n_rows, rows.k_padded);
        let grouped = self.gate.first_row.is_multiple_of(32) && self.sharing.turns * self.sharing.runs() == 32;
        if of(&self.gate) == of(&self.up) && grouped && dot::order(self.gate.format).is_some() {
            return Ok(());
        }
        Err(Error::Shape {
            op: "swiglu",
            operand: "up",
            found: format!("{:?} beside {:?}", of(&self.up), of(&self.gate)),
            expected: "one format of four or eight bits, and the same rows in whole groups of 32".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            n: self.n as u32,
            k: self.k as u32,
            n_rows: self.gate.n_rows as u32,
            first_row: self.gate.first_row as u32,
            groups: (self.gate.k_padded / 32) as u32,
            has_norm: self.eps.is_some().into(),
            eps: self.eps.unwrap_or(0.0),
            order: self.order,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = group0(&[("acts", self.acts)], &[("acts_out", self.h)]);
        let names = [("packed", "scales", &self.gate), ("packed_up", "scales_up", &self.up)];
        bindings.extend(group1(&dot::reads_of(&names), &[]));
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![dot::part(self.gate.format), self.sharing.team.part()]
    }

    fn overrides(&self) -> Vec<Override> {
        self.sharing.overrides()
    }

    fn grid(&self) -> [u32; 3] {
        [self.gate.n_rows.div_ceil(32) as u32, 1, 1]
    }

    fn invocations(&self) -> u32 {
        self.sharing.invocations()
    }

    fn shared_bytes(&self) -> u32 {
        self.sharing.team.shared_bytes(self.sharing.teams) + dot::NEAR_BYTES
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let (rows, k) = (self.gate.n_rows, self.k);
        Cost::whole(bindings)
            .class(Class::Matvec)
            .touch(bindings, "acts_out", Amount::fixed(dot::packed_bytes(rows) as usize))
            .compute(Unit::Int8, Amount::fixed(8 * rows * k))
            .compute(Unit::F32, Amount::fixed(rows * k + 100 * rows))
    }
}
