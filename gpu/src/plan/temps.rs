//! Gives the recording's temporaries memory: two whose lives do not overlap share.
//!
//! Each lies in a buffer of its own, not in one arena: WebGPU forbids a dispatch that reads one part of a buffer and
//! writes another.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Dispatch, Memory, padded_bytes};
use crate::recording::{Buffer, Recording};

/// Memory of temporaries.
pub struct Assigned {
    /// Bytes by number.
    pub temps: Vec<u64>,
    pub temp_of: BTreeMap<Buffer, u32>,
}

/// Renames [`Memory::Temp`] in `dispatches` from buffers to numbers of shared memory. Buffers in `kept` are not shared
/// with anything later. Numbers after the recording's last are the plan's own, of so many bytes as `scratch` says.
pub fn assign(recording: &Recording, dispatches: &mut [Dispatch], kept: &BTreeSet<Buffer>, scratch: &[u64]) -> Assigned {
    let mut last_use: BTreeMap<u32, usize> = BTreeMap::new();
    for (idx, dispatch) in dispatches.iter().enumerate() {
        for buffer in temps_of(dispatch) {
            last_use.insert(buffer, idx);
        }
    }
    for buffer in kept {
        last_use.insert(buffer.0, usize::MAX);
    }
    let mut temps: Vec<u64> = Vec::new();
    let mut free: Vec<u32> = Vec::new();
    let mut temp_of: BTreeMap<Buffer, u32> = BTreeMap::new();
    for (idx, dispatch) in dispatches.iter_mut().enumerate() {
        let mut ending = BTreeSet::new();
        for buffer in temps_of(dispatch) {
            let number = *temp_of.entry(Buffer(buffer)).or_insert_with(|| {
                let own = (buffer as usize).checked_sub(recording.buffers.len());
                let needed = match own.and_then(|i| scratch.get(i)) {
                    Some(&size_bytes) => size_bytes,
                    None => {
                        let info = recording.info(Buffer(buffer));
                        info.dtype.size_bytes(info.shape.n())
                    }
                };
                take(&mut temps, &mut free, padded_bytes(needed))
            });
            if last_use.get(&buffer) == Some(&idx) {
                ending.insert(number);
            }
        }
        for binding in &mut dispatch.bindings {
            if let Memory::Temp(buffer) = binding.operand.memory
                && let Some(&number) = temp_of.get(&Buffer(buffer))
            {
                binding.operand.memory = Memory::Temp(number);
            }
        }
        // Only now: an output must not lie where an input of the same dispatch lies.
        free.extend(ending);
    }
    Assigned { temps, temp_of }
}

fn temps_of(dispatch: &Dispatch) -> Vec<u32> {
    dispatch
        .bindings
        .iter()
        .filter_map(|binding| match binding.operand.memory {
            Memory::Temp(buffer) => Some(buffer),
            Memory::Tensor(_) => None,
        })
        .collect()
}

/// The smallest free one that is large enough, else the largest free one grown, else a new one.
fn take(temps: &mut Vec<u64>, free: &mut Vec<u32>, needed: u64) -> u32 {
    let size_of = |temps: &[u64], number: u32| temps[number as usize];
    let fitting = (0..free.len())
        .filter(|&i| size_of(temps, free[i]) >= needed)
        .min_by_key(|&i| size_of(temps, free[i]));
    let choice = fitting.or_else(|| (0..free.len()).max_by_key(|&i| size_of(temps, free[i])));
    match choice {
        Some(i) => {
            let number = free.swap_remove(i);
            let size = &mut temps[number as usize];
            *size = (*size).max(needed);
            number
        }
        None => {
            temps.push(needed);
            temps.len() as u32 - 1
        }
    }
}
