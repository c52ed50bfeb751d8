//! The next token from the logits; see `shaders/sample.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Operand, Override, group0};

/// One workgroup puts the runs of `sample_scan` together; to draw, it walks the vocabulary.
pub struct Sample {
    pub logits: Operand,   // [1, v] f32
    pub sampling: Operand, // words of `SamplingWords`
    pub runs: Operand,     // [n_runs, 4] u32
    pub state: Operand,    // words of `State`
    pub seen: Operand,     // [v] u32
    pub ids: Operand,      // [1] u32
    pub pos: Operand,      // [3, 1] u32
    pub ring: Operand,     // [ring_len, 2] u32
    pub v: usize,
    pub ring_len: usize,
    pub n_runs: usize,
    /// Lanes of the workgroup; a power of two.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub v: u32,
    pub ring_len: u32,
    pub n_runs: u32,
    pub pad: u32,
}

impl Kernel for Sample {
    const NAME: &'static str = "sample";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            v: self.v as u32,
            ring_len: self.ring_len as u32,
            n_runs: self.n_runs as u32,
            pad: 0,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[("logits", self.logits), ("sampling", self.sampling), ("runs", self.runs)],
            &[
                ("state", self.state),
                ("seen", self.seen),
                ("ids", self.ids),
                ("pos", self.pos),
                ("ring", self.ring),
            ],
        )
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn shared_bytes(&self) -> u32 {
        24 * self.workgroup + 4
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        // Greedy: the runs, and one logit. What drawing walks is not counted here.
        Cost::whole(bindings)
            .class(Class::Sampling)
            .touch(bindings, "logits", Amount::fixed(4))
            .touch(bindings, "seen", Amount::fixed(4))
            .compute(Unit::F32, Amount::fixed(10 * self.n_runs))
            .touch(bindings, "ring", Amount::fixed(8))
    }
}
