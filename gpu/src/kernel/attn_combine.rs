//! Puts the splits of `attn_split` together; see `shaders/attn_combine.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Operand, Override, attn_split, dot, group0};

/// Where the result goes.
#[derive(Clone, Copy, Debug)]
pub enum Out {
    /// `[heads, e]` f32.
    F32(Operand),
    Acts {
        acts: Operand, // packed, [heads · e]
        order: u32,
    },
}

/// See the file's head.
pub struct AttnCombine {
    pub partial: Operand,
    pub state: Operand,
    pub out: Out,
    pub heads: usize,
    pub e: usize,
    pub n_splits: usize,
    /// Tokens that the block table can name.
    pub s: usize,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n: u32,
    pub e: u32,
    pub heads: u32,
    pub n_splits: u32,
    pub s: u32,
    pub order: u32,
    pub pad: [u32; 2],
}

impl Kernel for AttnCombine {
    const NAME: &'static str = "attn_combine";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n: (self.heads * self.e) as u32,
            e: self.e as u32,
            heads: self.heads as u32,
            n_splits: self.n_splits as u32,
            s: self.s as u32,
            order: match self.out {
                Out::F32(_) => 0,
                Out::Acts { order, .. } => order,
            },
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let written = match self.out {
            Out::F32(y) => ("y", y),
            Out::Acts { acts, .. } => ("acts_out", acts),
        };
        group0(&[("partial", self.partial), ("state", self.state)], &[written])
    }

    fn parts(&self) -> Vec<&'static str> {
        match self.out {
            Out::F32(_) => vec!["out_f32"],
            Out::Acts { .. } => vec!["out_acts"],
        }
    }

    fn overrides(&self) -> Vec<Override> {
        Vec::new()
    }

    fn grid(&self) -> [u32; 3] {
        [(self.heads * self.e).div_ceil(32) as u32, 1, 1]
    }

    fn invocations(&self) -> u32 {
        32
    }

    fn shared_bytes(&self) -> u32 {
        match self.out {
            Out::F32(_) => 0,
            Out::Acts { .. } => dot::pack_bytes(1),
        }
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let bytes = attn_split::partial_bytes(self.heads, self.e, 1) as usize;
        Cost::whole(bindings)
            .class(Class::Lanes)
            .touch(bindings, "partial", Amount::fixed(bytes))
            .compute(Unit::F32, Amount::fixed(100 * self.heads * self.e))
    }
}
