//! Raw checkpoint values into a weight format; see `shaders/quantize.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{Binding, Cost, Kernel, Operand, Override, group0, group1, lanes};
use crate::recording::RawDType;
use crate::weights::{Format, GROUP, k_padded};

/// Packs `src [n_rows, k]`.
pub struct Quantize {
    pub src: Operand,
    pub src_dtype: RawDType,
    pub n_rows: usize,
    pub k: usize,
    pub format: Format,
    pub packed: Operand,
    /// For formats that have them.
    pub scales: Option<Operand>,
    /// Lanes of a workgroup.
    pub workgroup: u32,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    pub n_groups: u32,
    pub groups_a_row: u32,
    pub k: u32,
    pub pad: u32,
}

impl Quantize {
    fn n_groups(&self) -> usize {
        self.n_rows * k_padded(self.k) / GROUP
    }
}

impl Kernel for Quantize {
    const NAME: &'static str = "quantize";
    type Params = Params;

    fn params(&self) -> Params {
        Params {
            n_groups: self.n_groups() as u32,
            groups_a_row: (k_padded(self.k) / GROUP) as u32,
            k: self.k as u32,
            pad: 0,
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let scales = self.scales.map(|scales| ("scales", scales));
        let writes: Vec<_> = [("packed", self.packed)].into_iter().chain(scales).collect();
        let mut bindings = group0(&[("src", self.src)], &[]);
        bindings.extend(group1(&[], &writes));
        bindings
    }

    fn parts(&self) -> Vec<&'static str> {
        let raw = match self.src_dtype {
            RawDType::F32 => "raw_f32",
            RawDType::F16 => "raw_f16",
            RawDType::Bf16 => "raw_bf16",
        };
        let pack = match self.format {
            Format::F32 => "pack_f32",
            Format::F16 => "pack_f16",
            Format::Q8 => "pack_q8",
            Format::Q4 => "pack_q4",
        };
        vec![raw, pack]
    }

    fn overrides(&self) -> Vec<Override> {
        vec![("WG", self.workgroup)]
    }

    fn grid(&self) -> [u32; 3] {
        lanes(self.n_groups().div_ceil(2), self.workgroup)
    }

    fn invocations(&self) -> u32 {
        self.workgroup
    }

    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings).lanes(self.n_groups() * GROUP, 4)
    }
}
