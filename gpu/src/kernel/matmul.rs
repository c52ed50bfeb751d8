//! Matrix times many vectors; see `shaders/matmul.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class};
use super::linear::{Linear, LinearParams, gelu_word};
use super::{Binding, Cost, Kernel, Override};

/// Depth of a tile, and lanes of a workgroup, as in the shader.
const DEPTH: u32 = 16;
const LANES: u32 = 256;

/// `y = x Wᵀ` in tiles of 64 × 64, or of 128 × 128.
pub struct Matmul {
    pub linear: Linear,
    /// The larger tile.
    pub wide: bool,
}

/// Rows of x, and of W, that a workgroup takes.
pub fn side(wide: bool) -> u32 {
    if wide { 128 } else { 64 }
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
        let mut parts = self.linear.parts();
        parts.push(if self.wide { "quads_two" } else { "quads_one" });
        parts
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("GELU", gelu_word(self.linear.gelu))]
    }

    fn grid(&self) -> [u32; 3] {
        let side = side(self.wide);
        let columns = (self.linear.weight.n_rows as u32).div_ceil(side);
        [columns, (self.linear.t as u32).div_ceil(side), 1]
    }

    fn invocations(&self) -> u32 {
        LANES
    }

    fn shared_bytes(&self) -> u32 {
        2 * DEPTH * side(self.wide) * 4
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let linear = &self.linear;
        let side = side(self.wide) as usize;
        let (n_rows, t) = (linear.weight.n_rows, linear.t);
        linear.cost(bindings).class(Class::Matmul).read_again(
            Amount::product([t.div_ceil(side) - 1, linear.weight.size_bytes()]).plus(Amount::product([
                n_rows.div_ceil(side) - 1,
                4 * t,
                linear.k,
            ])),
        )
    }
}
