//! What is chosen, role by role, and between which algorithms.

use serde::{Deserialize, Serialize};

use super::harness::Pass;
use crate::engine::Adapter;
use crate::plan::Variants;

/// A field of [`Variants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A row times a weight.
    Vector,
    /// One query over the cache.
    Single,
    /// Lanes that sum together in those two.
    Team,
    /// Many rows times a weight.
    Matmul,
    /// Many queries.
    Attention,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Vector, Role::Single, Role::Team, Role::Matmul, Role::Attention];

    pub fn name(self) -> &'static str {
        match self {
            Role::Vector => "vector",
            Role::Single => "single",
            Role::Team => "team",
            Role::Matmul => "matmul",
            Role::Attention => "attention",
        }
    }

    /// What the algorithms of this role are timed with.
    pub fn pass(self) -> Pass {
        match self {
            Role::Vector | Role::Single | Role::Team => Pass::Step,
            Role::Matmul => Pass::Chunk,
            Role::Attention => Pass::Image,
        }
    }

    /// The name of the algorithm that `variants` has for this role.
    pub fn of(self, variants: &Variants) -> String {
        match self {
            Role::Vector => format!("{:?}", variants.vector),
            Role::Single => format!("{:?}", variants.single),
            Role::Team => {
                let by = if variants.team.subgroup { "subgroup" } else { "workgroup" };
                format!("{} by {by}", variants.team.lanes)
            }
            Role::Matmul => format!("{:?}", variants.matmul),
            Role::Attention => format!("{:?}", variants.attention),
        }
        .to_lowercase()
    }

    /// `variants` with this role's algorithm of `other`.
    pub fn taken(self, variants: &Variants, other: &Variants) -> Variants {
        let mut taken = variants.clone();
        match self {
            Role::Vector => taken.vector = other.vector,
            Role::Single => taken.single = other.single,
            Role::Team => taken.team = other.team,
            Role::Matmul => taken.matmul = other.matmul,
            Role::Attention => taken.attention = other.attention,
        }
        taken
    }

    /// `variants` with each algorithm of this role that the adapter's features allow; the plainest first, each once.
    pub fn candidates(self, adapter: &Adapter, variants: &Variants) -> Vec<Variants> {
        let sources = [Variants::plain(adapter), Variants::of(adapter), variants.clone()];
        let mut found: Vec<Variants> = Vec::new();
        for candidate in sources.iter().map(|source| self.taken(variants, source)) {
            if !found.contains(&candidate) {
                found.push(candidate);
            }
        }
        found
    }
}
