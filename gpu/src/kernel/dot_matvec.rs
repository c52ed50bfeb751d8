//! Quantised matrix times one packed vector; see `shaders/dot_matvec.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::dot::{self, Sharing};
use super::linear::{WeightRows, gelu_word};
use super::{Access, Binding, Cost, Kernel, Operand, Override, folded};
use crate::error::{Error, Result};
use crate::recording::GeluForm;

/// What becomes of the sums.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    Store,
    /// Stored, and packed for what follows an RMS norm of this weight.
    Norm {
        weight: Operand, // [n] f32
        acts: Operand,   // packed, [n]
        order: u32,
    },
}

/// `y = addend + gelu(f · W x + bias)` for a run of rows, absent things left out.
pub struct DotMatvec {
    pub weight: WeightRows,
    pub acts: Operand, // packed, [k]
    /// f: the factor of the RMS norm whose weight is in `acts`, by its epsilon.
    pub eps: Option<f32>,
    pub bias: Option<Operand>,   // [n] f32
    pub addend: Option<Operand>, // [n] f32
    pub gelu: Option<GeluForm>,
    pub y: Operand, // [n] f32
    pub then: Then,
    /// Rows of the whole weight.
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
    pub has_bias: u32,
    pub has_addend: u32,
    pub has_norm: u32,
    pub eps: f32,
    pub order: u32,
    pub pad: [u32; 2],
}

impl DotMatvec {
    fn rows(&self) -> u32 {
        2 * self.sharing.turns * self.sharing.runs()
    }
}

impl Kernel for DotMatvec {
    const NAME: &'static str = "dot_matvec";
    type Params = Params;

    /// Errors: `Shape` for a dense weight, or if what is packed does not come in whole groups.
    fn check(&self) -> Result<()> {
        let whole = match self.then {
            Then::Store => true,
            Then::Norm { .. } => {
                self.rows() == 32 && self.weight.first_row.is_multiple_of(32) && self.sharing.invocations() >= 32
            }
        };
        if whole && dot::order(self.weight.format).is_some() {
            return Ok(());
        }
        Err(Error::Shape {
            op: "linear",
            operand: "weight",
            found: format!("{} from row {}", self.weight.format.name(), self.weight.first_row),
            expected: "four or eight bits, and whole groups of rows to be packed".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            n: self.n as u32,
            k: self.k as u32,
            n_rows: self.weight.n_rows as u32,
            first_row: self.weight.first_row as u32,
            groups: (self.weight.k_padded / 32) as u32,
            has_bias: self.bias.is_some().into(),
            has_addend: self.addend.is_some().into(),
            has_norm: self.eps.is_some().into(),
            eps: self.eps.unwrap_or(0.0),
            order: match self.then {
                Then::Store => 0,
                Then::Norm { order, .. } => order,
            },
            pad: [0; 2],
        }
    }

    /// Operands that are absent are bound to the activations, which the shader does not read through them.
    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = vec![
            Binding::new(0, 1, "acts", Access::Read, self.acts),
            Binding::new(0, 2, "bias", Access::Read, self.bias.unwrap_or(self.acts)),
            Binding::new(0, 3, "addend", Access::Read, self.addend.unwrap_or(self.acts)),
        ];
        match self.then {
            Then::Store => bindings.push(Binding::new(0, 4, "y", Access::ReadWrite, self.y)),
            Then::Norm { weight, acts, .. } => bindings.extend([
                Binding::new(0, 4, "norm_weight", Access::Read, weight),
                Binding::new(0, 5, "y", Access::ReadWrite, self.y),
                Binding::new(0, 6, "acts_out", Access::ReadWrite, acts),
            ]),
        }
        bindings.extend(self.weight.bindings());
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        let then = match self.then {
            Then::Store => "then_store",
            Then::Norm { .. } => "then_norm",
        };
        vec![dot::part(self.weight.format), self.sharing.team.part(), then]
    }

    fn overrides(&self) -> Vec<Override> {
        let mut overrides = self.sharing.overrides();
        overrides.push(("GELU", gelu_word(self.gelu)));
        overrides
    }

    fn grid(&self) -> [u32; 3] {
        folded(self.weight.n_rows.div_ceil(self.rows() as usize))
    }

    fn invocations(&self) -> u32 {
        self.sharing.invocations()
    }

    fn shared_bytes(&self) -> u32 {
        let team = self.sharing.team.shared_bytes(self.sharing.teams);
        match self.then {
            Then::Store => team,
            Then::Norm { .. } => team + dot::NEAR_BYTES,
        }
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let (rows, k) = (self.weight.n_rows, self.k);
        let written = Amount::fixed(4 * rows);
        Cost::whole(bindings)
            .class(Class::Matvec)
            .touch(bindings, "y", written)
            .touch(bindings, "bias", Amount::fixed(self.bias.map_or(0, |_| 4 * rows)))
            .touch(bindings, "addend", self.addend.map_or(Amount::default(), |_| written))
            // Two planes of activations; masks and shifts beside them.
            .compute(Unit::Int8, Amount::fixed(4 * rows * k))
            .compute(Unit::F32, Amount::fixed(rows * k / 2))
    }
}
