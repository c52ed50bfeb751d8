//! RMS norm and layer norm over rows of whole vectors; see `shaders/norm_four.wgsl`.

use super::cost::{Amount, Class, Unit};
use super::rms_norm::Params;
use super::{Binding, Cost, Kernel, Operand, Override, folded, group0};
use crate::error::{Error, Result};

/// Normalises rows: a workgroup a row.
pub struct NormFour {
    pub x: Operand,      // [n_rows, d] f32
    pub weight: Operand, // [d] f32
    /// `[d]` f32: a layer norm.
    pub bias: Option<Operand>,
    pub y: Operand, // [n_rows, d] f32, or f16 if `half`
    pub half: bool,
    pub n_rows: usize,
    /// A multiple of 4.
    pub d: usize,
    pub eps: f32,
    /// Lanes that share a row; a power of two.
    pub workgroup: u32,
}

impl Kernel for NormFour {
    const NAME: &'static str = "norm_four";
    type Params = Params;

    fn check(&self) -> Result<()> {
        if self.d.is_multiple_of(4) {
            return Ok(());
        }
        Err(Error::Shape {
            op: "norm_four",
            operand: "x",
            found: format!("rows of {}", self.d),
            expected: "rows of whole vectors of four".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            n_rows: self.n_rows as u32,
            d: (self.d / 4) as u32,
            eps: self.eps,
            pad: 0,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let bias = self.bias.unwrap_or(self.weight);
        group0(&[("x", self.x), ("weight", self.weight), ("bias", bias)], &[("y", self.y)])
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![if self.half { "result_f16" } else { "result_f32" }]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup), ("LAYER", self.bias.is_some().into())]
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
        let (reads, operations) = match self.bias {
            Some(_) => (3, 8),
            None => (2, 4),
        };
        let mut cost = Cost::whole(bindings)
            .class(Class::Rows)
            .compute(Unit::F32, Amount::fixed(operations * n))
            .read_again(Amount::fixed((reads - 1) * 4 * n));
        if self.bias.is_none() {
            cost = cost.touch(bindings, "bias", Amount::default());
        }
        cost
    }
}
