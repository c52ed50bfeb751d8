//! Which algorithm [`super::lower_with`] takes for each role. By default what the adapter's features promise; what was
//! measured at the first start overrides it.

use crate::engine::Adapter;
use crate::kernel::attention_coop;
use crate::kernel::dot::Team;
use crate::kernel::matmul_coop::{SIDE, SUBGROUP, Tile};
use crate::kernel::preamble::Need;

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
    /// `attention_coop`: tiles of f16 by cooperative matrices, sums in f32; where linear layers of [`Product::Coop`] follow.
    Coop,
}

/// How one row of x is multiplied by a weight of four or eight bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {
    /// `matvec`: in f32.
    F32,
    /// `dot_matvec`: integer dot products, x packed to 15 bits and a sign.
    Dot,
}

/// How one query attends to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single {
    /// `attn_decode`: a workgroup a head walks all keys.
    Whole,
    /// `attn_split`: workgroups share the keys, and heads share the reading.
    Split,
}

/// The algorithm of each role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// Linear layers of more than a few rows.
    pub matmul: Product,
    /// Attention of more than one query.
    pub attention: Softmax,
    /// Linear layers of one row.
    pub vector: Vector,
    /// Attention of one query to the cache.
    pub single: Single,
    /// Lanes that sum together in kernels of one row.
    pub team: Team,
    /// The dispatches of a step take their grids from a buffer, so that steps queued behind a stop cost next to nothing.
    /// Browsers check every such grid by a dispatch of their own, and a CPU's steps are queued one by one.
    pub gated: bool,
}

impl Variants {
    /// What runs everywhere on this kind of adapter, without any feature.
    pub fn plain(adapter: &Adapter) -> Self {
        // Barriers cost a CPU more than tiles in workgroup memory save.
        let (matmul, attention) = match adapter.software {
            true => (Product::Direct, Softmax::Direct),
            false => (Product::Tiled, Softmax::Tiled),
        };
        Self {
            matmul,
            attention,
            vector: Vector::F32,
            single: Single::Whole,
            team: Team {
                lanes: 32,
                subgroup: false,
            },
            gated: !adapter.software && matches!(adapter.backend.as_str(), "vulkan" | "metal" | "dx12"),
        }
    }

    /// What the adapter's features promise to be the fastest.
    pub fn of(adapter: &Adapter) -> Self {
        let mut variants = Self::plain(adapter);
        let coop = adapter.coop_f16_side() == Some(SIDE) && adapter.subgroups == Some((SUBGROUP, SUBGROUP));
        if coop && adapter.has(Need::F16) && adapter.workgroup_memory_bytes >= Tile::Small.shared_bytes() {
            variants.matmul = Product::Coop;
            if adapter.workgroup_memory_bytes >= attention_coop::shared_bytes(attention_coop::MAX_E) {
                variants.attention = Softmax::Coop;
            }
        }
        if !adapter.software {
            variants.vector = Vector::Dot;
            variants.single = Single::Split;
        }
        if let Some((lanes, largest)) = adapter.subgroups
            && lanes == largest
            && lanes.is_power_of_two()
            && (4..=64).contains(&lanes)
        {
            variants.team = Team { lanes, subgroup: true };
        }
        variants
    }
}
