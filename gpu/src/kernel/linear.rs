//! What `matvec` and `matmul` share: the operands of a linear layer and what follows it.

use bytemuck::{Pod, Zeroable};

use super::cost::{Amount, Unit};
use super::{Access, Binding, Cost, Operand, group1};
use crate::recording::GeluForm;
use crate::weights::Format;

/// A run of rows of a weight, as kernels read it.
#[derive(Clone, Copy, Debug)]
pub struct WeightRows {
    pub format: Format,
    pub packed: Operand,
    /// For formats that have them.
    pub scales: Option<Operand>,
    pub first_row: usize,
    pub n_rows: usize,
    /// Values in a stored row, a multiple of 32.
    pub k_padded: usize,
}

impl WeightRows {
    /// The part of role `weight`.
    pub fn part(&self) -> &'static str {
        match self.format {
            Format::F32 => "weight_f32",
            Format::F16 => "weight_f16",
            Format::Q8 => "weight_q8",
            Format::Q4 => "weight_q4",
        }
    }

    /// Bytes, scales included.
    pub fn size_bytes(&self) -> usize {
        (self.packed.size_bytes + self.scales.map_or(0, |scales| scales.size_bytes)) as usize
    }

    /// f32 operations that turn a stored value into a number: masks, shifts, a conversion, the scale.
    pub fn unpacking(&self) -> usize {
        match self.format {
            Format::F32 => 0,
            Format::F16 => 1,
            Format::Q8 => 3,
            Format::Q4 => 4,
        }
    }

    /// Group 1.
    pub fn bindings(&self) -> Vec<Binding> {
        let scales = self.scales.map(|scales| ("scales", scales));
        let reads: Vec<_> = [("packed", self.packed)].into_iter().chain(scales).collect();
        group1(&reads, &[])
    }
}

/// `y[t, row] = addend[t, row] + gelu(W[row] · x[t] + bias[row])` for a run of rows, absent things left out.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    pub weight: WeightRows,
    pub x: Operand,              // [t, k] f32
    pub bias: Option<Operand>,   // [n] f32
    pub addend: Option<Operand>, // [t, n] f32
    pub gelu: Option<GeluForm>,
    pub y: Operand, // [t, n] f32
    pub t: usize,
    /// Rows of the whole weight.
    pub n: usize,
    pub k: usize,
}

/// The first words of both kernels' `Params`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct LinearParams {
    pub n: u32,
    pub k: u32,
    pub n_rows: u32,
    pub first_row: u32,
    pub row4: u32,
    pub has_bias: u32,
    pub has_addend: u32,
    pub pad: u32,
}

/// The number of a form in part `gelu`; 0 is none.
pub fn gelu_word(form: Option<GeluForm>) -> u32 {
    match form {
        None => 0,
        Some(GeluForm::Tanh) => 1,
        Some(GeluForm::Erf) => 2,
    }
}

impl Linear {
    pub fn params(&self) -> LinearParams {
        LinearParams {
            n: self.n as u32,
            k: self.k as u32,
            n_rows: self.weight.n_rows as u32,
            first_row: self.weight.first_row as u32,
            row4: (self.weight.k_padded / 4) as u32,
            has_bias: self.bias.is_some().into(),
            has_addend: self.addend.is_some().into(),
            pad: 0,
        }
    }

    /// What it costs to read everything once and to multiply in f32, each stored value unpacked once.
    pub fn cost(&self, bindings: &[Binding]) -> Cost {
        let (rows, t, k) = (self.weight.n_rows, self.t, self.k);
        let written = Amount::fixed(4 * t * rows);
        let mut cost = Cost::whole(bindings)
            .touch(bindings, "y", written)
            .touch(bindings, "bias", Amount::fixed(self.bias.map_or(0, |_| 4 * rows)))
            .touch(bindings, "addend", self.addend.map_or(Amount::default(), |_| written))
            .compute(Unit::F32, Amount::product([rows, k, 2 * t + self.weight.unpacking()]));
        if self.gelu.is_some() {
            cost = cost.compute(Unit::F32, Amount::fixed(16 * t * rows));
        }
        cost
    }

    /// Operands that are absent are bound to x, which the shader does not read through them.
    pub fn bindings(&self) -> Vec<Binding> {
        let mut bindings = vec![
            Binding::new(0, 1, "x", Access::Read, self.x),
            Binding::new(0, 2, "bias", Access::Read, self.bias.unwrap_or(self.x)),
            Binding::new(0, 3, "addend", Access::Read, self.addend.unwrap_or(self.x)),
            Binding::new(0, 4, "y", Access::ReadWrite, self.y),
        ];
        bindings.extend(self.weight.bindings());
        bindings
    }

    pub fn parts(&self) -> Vec<&'static str> {
        let input = if self.k.is_multiple_of(4) {
            "input_vec4"
        } else {
            "input_scalar"
        };
        vec![self.weight.part(), input]
    }
}
