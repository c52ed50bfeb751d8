//! Matrix times many vectors on CPUs; see `shaders/matmul_direct.wgsl`.

use super::cost::{Amount, Class};
use super::linear::{Linear, gelu_word};
use super::matmul::Params;
use super::{Binding, Cost, Kernel, Override};

/// Rows of x, and of W, whose products a lane keeps.
const SIDE: u32 = 8;

/// `y = x Wᵀ`, a lane 8 × 8 of y.
pub struct MatmulDirect {
    pub linear: Linear,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

impl Kernel for MatmulDirect {
    const NAME: &'static str = "matmul_direct";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            linear: self.linear.params(),
            t: self.linear.t as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        self.linear.bindings()
    }

    fn parts(&self) -> Vec<&'static str> {
        self.linear.parts()
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup), ("GELU", gelu_word(self.linear.gelu))]
    }

    fn grid(&self) -> [u32; 3] {
        let columns = (self.linear.weight.n_rows as u32).div_ceil(SIDE * self.workgroup);
        [columns, (self.linear.t as u32).div_ceil(SIDE), 1]
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let linear = &self.linear;
        let (n_rows, t) = (linear.weight.n_rows, linear.t);
        linear.cost(bindings).class(Class::Matmul).read_again(
            Amount::product([t.div_ceil(8) - 1, linear.weight.size_bytes()]).plus(Amount::product([
                n_rows.div_ceil(8) - 1,
                4 * t,
                linear.k,
            ])),
        )
    }
}
