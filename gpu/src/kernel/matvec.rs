//! Matrix times up to four vectors; see `shaders/matvec.wgsl`.

use super::cost::Class;
use super::linear::{Linear, LinearParams, gelu_word};
use super::{Binding, Cost, Kernel, Override, folded};

/// Rows of x that it takes.
pub const MAX_T: usize = 4;

/// `y[t] = W x[t]` for a few t: a workgroup a row of W.
pub struct Matvec {
    pub linear: Linear,
    /// Lanes that share a row; a power of two.
    pub workgroup: u32,
}

impl Kernel for Matvec {
    const NAME: &'static str = "matvec";
    type Params = LinearParams;

    fn params(&self) -> LinearParams {
        self.linear.params()
    }

    fn bindings(&self) -> Vec<Binding> {
        self.linear.bindings()
    }

    fn parts(&self) -> Vec<&'static str> {
        self.linear.parts()
    }

    fn overrides(&self) -> Vec<Override> {
        vec![
            ("WG", self.workgroup),
            ("T", self.linear.t as u32),
            ("GELU", gelu_word(self.linear.gelu)),
        ]
    }

    fn grid(&self) -> [u32; 3] {
        folded(self.linear.weight.n_rows)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn shared_bytes(&self) -> u32 {
        4 * self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        self.linear.cost(bindings).class(Class::Matvec)
    }
}
