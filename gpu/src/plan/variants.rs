//! Which algorithm [`super::lower_with`] takes for each role. By default what the adapter's features promise; what was
//! measured at the first start overrides it.

use crate::engine::Adapter;

/// How many rows of x are multiplied by a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// `matmul_direct`: no workgroup memory, for CPUs.
    Direct,
    /// `matmul`: tiles of f32 in workgroup memory.
    Tiled,
    /// `matmul_coop`: tiles of f16 by cooperative matrices, sums in f32. Weights of f32 take [`Product::Tiled`] instead.
    Coop,
}

/// How many queries attend to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softmax {
    /// `attention_direct`: no workgroup memory, for CPUs.
    Direct,
    /// `attention`: tiles of f32 in workgroup memory.
    Tiled,
    /// `attention_coop`: tiles of f16 by cooperative matrices, sums in f32.
    Coop,
}

/// The algorithm of each role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// Linear layers of more than a few rows.
    pub matmul: Product,
    /// Attention of more than one query.
    pub attention: Softmax,
}

impl Variants {
    /// What runs everywhere on this kind of adapter, without any feature.
    pub fn plain(adapter: &Adapter) -> Self {
        // Barriers cost a CPU more than tiles in workgroup memory save.
        match adapter.software {
            true => Self {
                matmul: Product::Direct,
                attention: Softmax::Direct,
            },
            false => Self {
                matmul: Product::Tiled,
                attention: Softmax::Tiled,
            },
        }
    }

    /// What the adapter's features promise to be the fastest.
    pub fn of(adapter: &Adapter) -> Self {
        Self::plain(adapter)
    }
}
