//! New keys and values into the cache; see `shaders/kv_append.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::cost::Amount;
use super::{Binding, Cost, Kernel, Operand, Override, group0, group1, lanes};
use crate::error::{Error, Result};
use crate::tensor::DType;

/// Writes `k, v [t, row]` behind the tokens that are there.
pub struct KvAppend {
    pub k: Operand,       // [t, row] f32
    pub v: Operand,       // [t, row] f32
    pub table: Operand,   // [n_table] u32
    pub state: Operand,   // words of `State`
    pub k_cache: Operand, // [n_blocks, block, row]
    pub v_cache: Operand,
    /// F32 or F16.
    pub dtype: DType,
    pub t: usize,
    /// Values of a token: kv heads times head size; a multiple of 4.
    pub row: usize,
    pub block: usize,
    pub n_table: usize,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n4: u32,
    pub row4: u32,
    pub block: u32,
    pub n_table: u32,
}

impl Kernel for KvAppend {
    const NAME: &'static str = "kv_append";
    type Params = Params;

    fn check(&self) -> Result<()> {
        if self.row.is_multiple_of(4) && self.block > 0 {
            return Ok(());
        }
        Err(Error::Shape {
            op: "kv_append",
            operand: "k",
            found: format!("rows of {} values, blocks of {} tokens", self.row, self.block),
            expected: "rows of a multiple of 4, blocks of at least 1".into(),
        })
    }

    fn params(&self) -> Params {
        Params {
            n4: (self.t * self.row / 4) as u32,
            row4: (self.row / 4) as u32,
            block: self.block as u32,
            n_table: self.n_table as u32,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = group0(
            &[("k", self.k), ("v", self.v), ("table", self.table), ("state", self.state)],
            &[],
        );
        bindings.extend(group1(&[], &[("k_cache", self.k_cache), ("v_cache", self.v_cache)]));
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![if self.dtype == DType::F16 { "store_f16" } else { "store_f32" }]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.t * self.row / 4, self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        let row_bytes = self.dtype.size_bytes(self.row) as usize;
        let written = Amount::fixed(self.t * row_bytes);
        Cost::whole(bindings)
            .lanes(self.t * self.row, 2)
            .touch(bindings, "table", Amount::fixed(4 * self.t.div_ceil(self.block.max(1))))
            .touch(bindings, "k_cache", written)
            .touch(bindings, "v_cache", written)
    }
}
