//! Matrix times many vectors by cooperative matrices; see `shaders/matmul_coop.wgsl`.

use super::cost::{Amount, Class, Unit};
use super::linear::{Linear, WeightRows, gelu_word};
use super::matmul::Params;
use super::{Access, Binding, Cost, Kernel, Override};
use crate::error::{Error, Result};
use crate::weights::Format;

/// Subgroup that the shader is written for.
pub const SUBGROUP: u32 = 32;
/// Side of the cooperative matrices that it is written for.
pub const SIDE: u32 = 16;
/// Values of k in a tile, and from a row of a tile to the next.
const DEPTH: usize = 64;
const ROW_BYTES: u32 = 144;

/// Rows of x, and of W, that a workgroup takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// 128 × 128.
    Wide,
    /// 128 × 96: where it leaves fewer cores idle in the last round.
    Medium,
    /// 64 × 64: for few rows, so that more workgroups have work.
    Small,
}

impl Tile {
    pub const ALL: [Self; 3] = [Self::Wide, Self::Medium, Self::Small];

    /// Rows of x.
    pub fn rows(self) -> u32 {
        match self {
            Self::Wide | Self::Medium => 128,
            Self::Small => 64,
        }
    }

    /// Rows of W, which are columns of y.
    pub fn columns(self) -> u32 {
        match self {
            Self::Wide => 128,
            Self::Medium => 96,
            Self::Small => 64,
        }
    }

    /// Rows of x that it has room for.
    fn x_rows(self) -> u32 {
        match self {
            Self::Medium => 144,
            Self::Wide | Self::Small => self.rows(),
        }
    }

    /// Lanes of a workgroup.
    pub fn lanes(self) -> u32 {
        match self {
            Self::Wide => 256,
            Self::Medium => 192,
            Self::Small => 128,
        }
    }

    /// Bytes of workgroup memory: both tiles, and room for a matrix of sums a subgroup.
    pub fn shared_bytes(self) -> u32 {
        (self.x_rows() + self.columns()) * ROW_BYTES + self.lanes() / SUBGROUP * SIDE * 20 * 4
    }

    /// How many of them cover `t` rows of x and `n_rows` of W.
    pub fn count(self, t: usize, n_rows: usize) -> usize {
        t.div_ceil(self.rows() as usize) * n_rows.div_ceil(self.columns() as usize)
    }
}

/// `y = x Wᵀ` with x in f16.
pub struct MatmulCoop {
    /// Its x is f16; its y f16 if `half`.
    pub linear: Linear,
    /// The second weight of `silu(x Gᵀ) · (x Uᵀ)`, of the shape and format of the first, which is G.
    pub up: Option<WeightRows>,
    pub half: bool,
    pub tile: Tile,
}

impl MatmulCoop {
    /// Rows of W that a workgroup computes.
    fn columns(&self) -> u32 {
        match self.up {
            Some(_) => self.tile.columns() / 2,
            None => self.tile.columns(),
        }
    }
}

impl Kernel for MatmulCoop {
    const NAME: &'static str = "matmul_coop";
    type Params = Params;

    fn check(&self) -> Result<()> {
        let Linear { weight, n, k, t, .. } = &self.linear;
        let fours = [*n, *k, weight.n_rows, weight.first_row];
        let alike = |up: WeightRows| (up.format, up.n_rows, up.k_padded) == (weight.format, weight.n_rows, weight.k_padded);
        let plain = self.linear.bias.is_none() && self.linear.addend.is_none() && self.linear.gelu.is_none();
        let pair = self.up.is_none_or(|up| alike(up) && plain);
        if fours.iter().all(|n| n.is_multiple_of(4)) && *t > 0 && *k > 0 && weight.format != Format::F32 && pair {
            return Ok(());
        }
        Err(Error::Shape {
            op: "matmul_coop",
            operand: "weight",
            found: format!(
                "[{n}, {k}] in {}, {} rows from {}",
                weight.format.name(),
                weight.n_rows,
                weight.first_row
            ),
            expected: "multiples of 4, not in f32; two weights alike, without bias, GELU and residual".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            linear: self.linear.params(),
            t: self.linear.t as u32,
            pad: [0; 3],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = self.linear.bindings();
        let up = self.up.unwrap_or(self.linear.weight);
        let operands = [Some(("packed_up", up.packed)), up.scales.map(|scales| ("scales_up", scales))];
        let first = bindings.iter().filter(|binding| binding.group == 1).count() as u32;
        bindings.extend(
            (first..)
                .zip(operands.into_iter().flatten())
                .map(|(index, (name, operand))| Binding::new(1, index, name, Access::Read, operand)),
        );
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        let halves = match self.linear.weight.format {
            Format::F32 | Format::F16 => "halves_f16",
            Format::Q8 => "halves_q8",
            Format::Q4 => "halves_q4",
        };
        let tile = match self.tile {
            Tile::Wide => "tile_wide",
            Tile::Medium => "tile_medium",
            Tile::Small => "tile_small",
        };
        vec![halves, tile, if self.half { "result_f16" } else { "result_f32" }]
    }

    fn overrides(&self) -> Vec<Override> {
        let edge = !self.linear.k.is_multiple_of(DEPTH);
        vec![
            ("PAIR", self.up.is_some().into()),
            ("EDGE", edge.into()),
            ("GELU", gelu_word(self.linear.gelu)),
        ]
    }

    fn grid(&self) -> [u32; 3] {
        let rows = (self.linear.t as u32).div_ceil(self.tile.rows());
        [rows, (self.linear.weight.n_rows as u32).div_ceil(self.columns()), 1]
    }

    fn invocations(&self) -> u32 {
        self.tile.lanes()
    }

    fn shared_bytes(&self) -> u32 {
        self.tile.shared_bytes()
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let Linear {
            weight,
            t,
            k,
            bias,
            addend,
            gelu,
            ..
        } = &self.linear;
        let (t, k, rows) = (*t, *k, weight.n_rows);
        let weights = 1 + usize::from(self.up.is_some());
        let row_tiles = t.div_ceil(self.tile.rows() as usize);
        let column_tiles = rows.div_ceil(self.columns() as usize);
        let none = Amount::default();
        let mut cost = Cost::whole(bindings)
            .class(Class::Matmul)
            .touch(bindings, "y", Amount::fixed(if self.half { 2 } else { 4 } * t * rows))
            .touch(bindings, "bias", bias.map_or(none, |_| Amount::fixed(4 * rows)))
            .touch(bindings, "addend", addend.map_or(none, |_| Amount::fixed(4 * t * rows)))
            .compute(Unit::Matrix, Amount::product([2 * weights, t, k, rows]))
            .compute(Unit::F32, Amount::product([weights, row_tiles, rows, k, weight.unpacking()]))
            .read_again(
                Amount::product([row_tiles - 1, weights, weight.size_bytes()]).plus(Amount::product([
                    column_tiles - 1,
                    2 * t,
                    k,
                ])),
            );
        if self.up.is_none() {
            cost = cost.touch(bindings, "packed_up", none).touch(bindings, "scales_up", none);
        }
        if gelu.is_some() || self.up.is_some() {
            cost = cost.compute(Unit::F32, Amount::fixed(16 * t * rows));
        }
        cost
    }
}
