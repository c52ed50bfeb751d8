//! Mixtures of four table rows; see `shaders/gather_mix.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Amount;
use super::{Binding, Cost, Kernel, Operand, Override, group0, lanes};

/// `y[t] = Σ_i mix[t, i] · table[index[t, i]]`.
pub struct GatherMix {
    pub table: Operand, // [r, d] f32
    pub index: Operand, // [t, 4] u32
    pub mix: Operand,   // [t, 4] f32
    pub y: Operand,     // [t, d] f32
    pub t: usize,
    pub d: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub d: u32,
    pub pad: [u32; 2],
}

impl Kernel for GatherMix {
    const NAME: &'static str = "gather_mix";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: (self.t * self.d) as u32,
            d: self.d as u32,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[("table", self.table), ("index", self.index), ("mix4", self.mix)],
            &[("y", self.y)],
        )
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.t * self.d, self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        // The whole table at most; its rows are read again when there are more patches than places.
        let rows = 16 * self.t * self.d;
        let whole = self.table.size_bytes as usize;
        Cost::whole(bindings)
            .lanes(self.t * self.d, 8)
            .touch(bindings, "table", Amount::fixed(rows.min(whole)))
            .read_again(Amount::fixed(rows.saturating_sub(whole)))
    }
}
