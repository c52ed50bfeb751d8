//! One thread of a block: registers, ALU, next program counter.

use super::decoder::{Decoded, Write};
use super::isa::{self, BLOCK_DIM, BLOCK_IDX, THREAD_IDX};
use super::lsu::Lsu;

#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub registers: [u8; 16],
    pub rs: u8,
    pub rt: u8,
    alu: u8,
    pub next_pc: u8,
    pub nzp: u8,
    pub lsu: Lsu,
    /// With divergence: where this lane is, and whether it has returned.
    pub pc: u8,
    pub is_finished: bool,
    /// It stands elsewhere than the lanes that run.
    pub is_waiting: bool,
}

impl Lane {
    /// As after a reset.
    pub fn new(block_dim: usize, thread_idx: usize) -> Self {
        let mut lane = Self::default();
        lane.registers[usize::from(BLOCK_DIM)] = block_dim as u8;
        lane.registers[usize::from(THREAD_IDX)] = thread_idx as u8;
        lane
    }

    /// The edge in REQUEST.
    pub fn read(&mut self, decoded: &Decoded) {
        self.rs = self.registers[decoded.s];
        self.rt = self.registers[decoded.t];
    }

    /// The edge in EXECUTE.
    pub fn execute(&mut self, decoded: &Decoded, pc: u8) {
        self.alu = match decoded.is_compare {
            true => isa::compare(self.rs, self.rt),
            false => decoded.alu.apply(self.rs, self.rt),
        };
        self.next_pc = match self.nzp & decoded.branch_nzp {
            0 => pc.wrapping_add(1),
            _ => decoded.immediate,
        };
    }

    /// The edge in UPDATE.
    pub fn update(&mut self, decoded: &Decoded) {
        if decoded.is_compare {
            self.nzp = self.alu;
        }
        if let Some(write) = decoded.write
            && decoded.d < usize::from(BLOCK_IDX)
        {
            self.registers[decoded.d] = match write {
                Write::Alu => self.alu,
                Write::Lsu => self.lsu.result,
                Write::Immediate => decoded.immediate,
            };
        }
    }
}
