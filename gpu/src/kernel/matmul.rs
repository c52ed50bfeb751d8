//! Matrix times many vectors; see `shaders/matmul.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class};
use super::linear::{Linear, LinearParams};
use super::{Binding, Cost, Kernel, Override};

/// `y = x Wᵀ` in tiles of `4 ty × 4 tx`.
pub struct Matmul {
    pub linear: Linear,
    /// Lanes over rows of W, and over rows of x.
    pub tx: u32,
    pub ty: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub linear: LinearParams,
    pub t: u32,
    pub pad: [u32; 3],
}

impl Kernel for Matmul {
    const NAME: &'static str = "matmul";
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
        vec![("TX", self.tx), ("TY", self.ty)]
    }

    fn grid(&self) -> [u32; 3] {
        let columns = (self.linear.weight.n_rows as u32).div_ceil(4 * self.tx);
        let rows = (self.linear.t as u32).div_ceil(4 * self.ty);
        [columns, rows, 1]
    }

    fn invocations(&self) -> u32 {
        self.tx * self.ty
    }

    fn shared_bytes(&self) -> u32 {
        16 * 16 * (self.tx + self.ty)
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let linear = &self.linear;
        let (columns, rows) = (4 * self.tx as usize, 4 * self.ty as usize);
        let (n_rows, t) = (linear.weight.n_rows, linear.t);
        linear.cost(bindings).class(Class::Matmul).read_again(
            Amount::product([t.div_ceil(rows) - 1, linear.weight.size_bytes()]).plus(Amount::product([
                n_rows.div_ceil(columns) - 1,
                4 * t,
                linear.k,
            ])),
        )
    }
}
