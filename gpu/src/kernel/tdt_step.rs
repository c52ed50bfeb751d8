//! A transducer's step; see `shaders/tdt_step.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Kernel, Operand, Override, group0};

/// One workgroup walks the logits.
pub struct TdtStep {
    pub logits: Operand,    // [1, n_tokens + n_durations] f32
    pub durations: Operand, // [n_durations] u32
    pub state: Operand,     // words of `TdtState`
    pub ids: Operand,       // [1] u32
    pub ring: Operand,      // [ring_len, RING_WORDS] u32
    /// Blank counts: it is the last.
    pub n_tokens: usize,
    pub n_durations: usize,
    pub max_symbols: u32,
    pub ring_len: usize,
    /// A power of two.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n_tokens: u32,
    pub n_durations: u32,
    pub max_symbols: u32,
    pub ring_len: u32,
}

impl Kernel for TdtStep {
    const NAME: &'static str = "tdt_step";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n_tokens: self.n_tokens as u32,
            n_durations: self.n_durations as u32,
            max_symbols: self.max_symbols,
            ring_len: self.ring_len as u32,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        group0(
            &[("logits", self.logits), ("durations", self.durations)],
            &[("state", self.state), ("ids", self.ids), ("ring", self.ring)],
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
        8 * self.workgroup + 4
    }
}
