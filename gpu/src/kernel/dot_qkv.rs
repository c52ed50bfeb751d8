//! The projections of attention of one packed vector; see `shaders/dot_qkv.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::dot::{self, Sharing};
use super::linear::WeightRows;
use super::{Binding, Cost, Kernel, Operand, Override, group0, group1};
use crate::error::{Error, Result};

/// `y = f · (Q x, K x, V x)`.
pub struct DotQkv {
    pub q: WeightRows, // [n_q, k]
    pub k: WeightRows, // [n_k, k]
    pub v: WeightRows, // [n_k, k]
    pub acts: Operand, // packed, [k]
    /// f: the factor of the RMS norm whose weight is in `acts`, by its epsilon.
    pub eps: Option<f32>,
    pub y: Operand, // [n_q + 2 n_k] f32
    /// Columns of the weights.
    pub columns: usize,
    pub sharing: Sharing,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n_q: u32,
    pub n_k: u32,
    pub k: u32,
    pub groups: u32,
    pub has_norm: u32,
    pub eps: f32,
    pub pad: [u32; 2],
}

impl DotQkv {
    fn rows(&self) -> usize {
        2 * self.sharing.runs() as usize
    }
}

impl Kernel for DotQkv {
    const NAME: &'static str = "dot_qkv";
    type Params = Params;

    /// Errors: `Shape` unless the weights are of one format of integers, and K and V alike.
    fn check(&self) -> Result<()> {
        let of = |rows: &WeightRows| (rows.format, rows.k_padded);
        let alike = of(&self.q) == of(&self.k) && of(&self.k) == of(&self.v) && self.k.n_rows == self.v.n_rows;
        if alike && self.k.n_rows > 0 && dot::order(self.q.format).is_some() && self.sharing.turns == 1 {
            return Ok(());
        }
        Err(Error::Shape {
            op: "linear",
            operand: "k_proj",
            found: format!("{:?} beside {:?} and {:?}", of(&self.k), of(&self.q), of(&self.v)),
            expected: "one format of four or eight bits, keys and values alike".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            n_q: self.q.n_rows as u32,
            n_k: self.k.n_rows as u32,
            k: self.columns as u32,
            groups: (self.q.k_padded / 32) as u32,
            has_norm: self.eps.is_some().into(),
            eps: self.eps.unwrap_or(0.0),
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = group0(&[("acts", self.acts)], &[("y", self.y)]);
        let names = [
            ("packed", "scales", &self.q),
            ("packed_k", "scales_k", &self.k),
            ("packed_v", "scales_v", &self.v),
        ];
        bindings.extend(group1(&dot::reads_of(&names), &[]));
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![dot::part(self.q.format), self.sharing.team.part()]
    }

    fn overrides(&self) -> Vec<Override> {
        let overrides = self.sharing.overrides();
        overrides.into_iter().filter(|(name, _)| *name != "TURNS").collect()
    }

    fn grid(&self) -> [u32; 3] {
        let blocks = self.q.n_rows.div_ceil(self.rows()) + 2 * self.k.n_rows.div_ceil(self.rows());
        [blocks as u32, 1, 1]
    }

    fn invocations(&self) -> u32 {
        self.sharing.invocations()
    }

    fn shared_bytes(&self) -> u32 {
        self.sharing.team.shared_bytes(self.sharing.teams)
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let products = (self.q.n_rows + 2 * self.k.n_rows) * self.columns;
        Cost::whole(bindings)
            .class(Class::Matvec)
            .compute(Unit::Int8, Amount::fixed(4 * products))
            .compute(Unit::F32, Amount::fixed(products / 2))
    }
}
