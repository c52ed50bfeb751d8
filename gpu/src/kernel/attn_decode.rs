//! Attention of one query over the cache; see `shaders/attn_decode.wgsl`.

use super::attention::{Heads, Params};
use super::cost::Class;
use super::{Binding, Cost, Kernel, Override};
use crate::error::Result;

/// A workgroup a head.
pub struct AttnDecode {
    pub heads: Heads,
    /// Lanes of a workgroup: a power of two, at least a quarter of the head size.
    pub workgroup: u32,
}

impl Kernel for AttnDecode {
    const NAME: &'static str = "attn_decode";
    type Params = Params;

    fn check(&self) -> Result<()> {
        self.heads.check()
    }

    fn params(&self) -> Params {
        self.heads.params()
    }

    fn bindings(&self) -> Vec<Binding> {
        self.heads.bindings()
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![self.heads.part()]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("E4", self.heads.e as u32 / 4), ("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        [self.heads.heads as u32, 1, 1]
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn shared_bytes(&self) -> u32 {
        24 * self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        self.heads.cost(bindings, 1).class(Class::Decoding)
    }
}
