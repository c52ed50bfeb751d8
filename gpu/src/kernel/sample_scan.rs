//! The largest logit of each run of the vocabulary; see `shaders/sample_scan.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Class, Unit};
use super::{Binding, Cost, Kernel, Operand, Override, group0};

/// A workgroup a run.
pub struct SampleScan {
    pub logits: Operand,   // [1, v] f32
    pub sampling: Operand, // words of `SamplingWords`
    pub state: Operand,    // words of `State`
    pub seen: Operand,     // [v] u32
    pub runs: Operand,     // [n_runs, 4] u32
    pub v: usize,
    pub n_runs: usize,
    /// Lanes of a workgroup; a power of two.
    pub workgroup: u32,
}

/// Bytes of what it leaves for `sample`.
pub fn runs_bytes(n_runs: usize) -> u64 {
    16 * n_runs as u64
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub v: u32,
    pub n_runs: u32,
    pub pad: [u32; 2],
}

impl Kernel for SampleScan {
    const NAME: &'static str = "sample_scan";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            v: self.v as u32,
            n_runs: self.n_runs as u32,
            pad: [0; 2],
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[
                ("logits", self.logits),
                ("sampling", self.sampling),
                ("state", self.state),
                ("seen", self.seen),
            ],
            &[("runs", self.runs)],
        )
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        [self.n_runs as u32, 1, 1]
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn shared_bytes(&self) -> u32 {
        8 * self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings)
            .class(Class::Sampling)
            .compute(Unit::F32, Amount::fixed(24 * self.v))
            .read_again(Amount::fixed(8 * self.v))
    }
}
