//! What an adapter runs for a recording: a list of dispatches and the temporaries between them. Made by [`lower`], once
//! a shape; played by the wgpu engine, costed by simulators, printed by `-v`. Knows shapes and limits, no device.

mod decode;
#[cfg(test)]
mod decode_tests;
mod fuse;
mod halves;
mod lower;
mod operands;
mod temps;
#[cfg(test)]
mod tests;
mod variants;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

pub use lower::{lower, lower_with};
pub use operands::{reads, writes};
pub use variants::{Product, Single, Softmax, Variants, Vector};

use crate::engine::Adapter;
use crate::error::{Error, Result};
use crate::kernel::{Access, Dispatch, Memory, Operand};
use crate::recording::Buffer;

/// A lowered recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub name: String,
    pub dispatches: Vec<Dispatch>,
    /// Ranges of `dispatches`, one for each slice of the recording; at least one, any may be empty.
    pub slices: Vec<Range<usize>>,
    /// Bytes of each temporary that [`Memory::Temp`] numbers.
    pub temps: Vec<u64>,
    /// Where the recording's own temporaries lie, by their roots. Only those of taps are still whole at the end.
    pub temp_of: BTreeMap<Buffer, u32>,
    /// The state whose `n_tokens` is 0 when the whole plan has nothing to do: engines then launch nothing.
    pub gate: Option<Operand>,
    /// The temporaries must not be lent to other plans: the recording is cut, or keeps taps.
    pub own_temps: bool,
}

impl Plan {
    /// Bytes of all temporaries.
    pub fn temp_bytes(&self) -> u64 {
        self.temps.iter().sum()
    }

    /// Holds every dispatch and temporary to the adapter's limits.
    ///
    /// Errors: `AdapterTooSmall`, naming the limit.
    pub fn check(&self, adapter: &Adapter) -> Result<()> {
        let hold = |limit: &'static str, found: u64, needed: u64| {
            if needed <= found {
                return Ok(());
            }
            Err(Error::AdapterTooSmall {
                adapter: adapter.name.clone(),
                limit,
                found,
                needed,
            })
        };
        for &size_bytes in &self.temps {
            hold("buffer size", adapter.max_buffer_bytes, size_bytes)?;
        }
        for dispatch in &self.dispatches {
            for &need in dispatch.needs {
                hold(need.word(), adapter.has(need).into(), 1)?;
            }
            for binding in &dispatch.bindings {
                let bytes = binding.operand.bound_bytes();
                hold("storage binding size", adapter.max_binding_bytes, bytes)?;
            }
            for groups in dispatch.grid {
                hold("workgroups a dimension", adapter.max_workgroups.into(), groups.into())?;
            }
            let storage = dispatch.bindings.len() as u64;
            hold("storage buffers a stage", adapter.storage_buffers.into(), storage)?;
            hold(
                "invocations a workgroup",
                adapter.max_invocations.into(),
                dispatch.invocations.into(),
            )?;
            hold(
                "workgroup memory",
                adapter.workgroup_memory_bytes.into(),
                dispatch.shared_bytes.into(),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    /// A line for the whole, then a line a dispatch: slice, operation, kernel, parts, overrides, grid, bindings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} dispatches in {} slices, {} temporaries of {} bytes",
            self.name,
            self.dispatches.len(),
            self.slices.len(),
            self.temps.len(),
            self.temp_bytes()
        )?;
        for (slice, range) in self.slices.iter().enumerate() {
            for dispatch in &self.dispatches[range.clone()] {
                writeln!(f, "{slice:3} {dispatch}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.grid;
        write!(f, "op {:4} {}", self.op_idx, self.kernel)?;
        if !self.parts.is_empty() {
            write!(f, "<{}>", self.parts.join(", "))?;
        }
        for (name, value) in &self.overrides {
            write!(f, " {name}={value}")?;
        }
        write!(f, " grid {x}x{y}x{z}")?;
        for binding in &self.bindings {
            let sign = match binding.access {
                Access::Read => "",
                Access::ReadWrite => "*",
            };
            let bytes = binding.operand.size_bytes;
            match binding.operand.memory {
                Memory::Temp(number) => write!(f, " {sign}{}=temp{number}:{bytes}", binding.name)?,
                Memory::Tensor(id) => write!(f, " {sign}{}=tensor{}:{bytes}", binding.name, id.0)?,
            }
        }
        Ok(())
    }
}
