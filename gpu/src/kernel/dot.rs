//! What the kernels of integer dot products share: teams of lanes, and packed activations (`shaders/parts/pack_acts.wgsl`).

use super::linear::WeightRows;
use super::{Operand, Override};
use crate::weights::{Format, GROUP};

/// Lanes that sum together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Team {
    /// A power of two; the subgroup's size if `subgroup`.
    pub lanes: u32,
    /// Sum by subgroup operations, else through workgroup memory.
    pub subgroup: bool,
}

impl Team {
    /// The part of role `team`.
    pub fn part(self) -> &'static str {
        match self.subgroup {
            true => "team_subgroup",
            false => "team_shared",
        }
    }

    /// Bytes of workgroup memory of that part, in a workgroup of `teams`.
    pub fn shared_bytes(self, teams: u32) -> u32 {
        match self.subgroup {
            true => 16 * teams,
            false => 16 * teams * self.lanes,
        }
    }
}

/// Workgroup memory of part `pack_near`, and of the rows that a kernel keeps for it.
pub const NEAR_BYTES: u32 = 32 * 8 + 32 * 4;

/// Workgroup memory of part `pack_acts` for so many groups at once.
pub fn pack_bytes(packs: u32) -> u32 {
    32 * 16 * packs
}

/// How the teams of a workgroup share rows of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    pub team: Team,
    /// Teams of a workgroup.
    pub teams: u32,
    /// Teams that share rows; divides `teams`.
    pub share: u32,
    /// Rounds of rows.
    pub turns: u32,
}

impl Sharing {
    pub fn overrides(&self) -> Vec<Override> {
        vec![
            ("LANES", self.team.lanes),
            ("TEAMS", self.teams),
            ("SHARE", self.share),
            ("TURNS", self.turns),
        ]
    }

    pub fn invocations(&self) -> u32 {
        self.team.lanes * self.teams
    }

    /// Runs of lanes that have rows of their own in every round.
    pub fn runs(&self) -> u32 {
        self.teams / self.share
    }
}

/// Bytes of `n` activations packed for a weight of four or eight bits.
pub fn packed_bytes(n: usize) -> u64 {
    (n.div_ceil(GROUP) * 80) as u64
}

/// How bytes are ordered in packed activations for a weight of this format; `None` for those without integers.
pub fn order(format: Format) -> Option<u32> {
    match format {
        Format::F32 | Format::F16 => None,
        Format::Q8 => Some(0),
        Format::Q4 => Some(1),
    }
}

/// The part of role `dots`.
pub fn part(format: Format) -> &'static str {
    match format {
        Format::Q4 => "dots_q4",
        _ => "dots_q8",
    }
}

/// What a kernel that reads rows of several weights binds of them: the names of packed values and of scales, and rows.
pub fn reads_of(weights: &[(&'static str, &'static str, &WeightRows)]) -> Vec<(&'static str, Operand)> {
    weights
        .iter()
        .flat_map(|&(packed, scales, rows)| [(packed, rows.packed), (scales, rows.scales.unwrap_or(rows.packed))])
        .collect()
}
