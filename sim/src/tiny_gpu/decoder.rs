//! Control signals of an instruction; latched in DECODE, they hold until the next.

use super::isa::{Alu, Instruction};

/// Where a written register's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Alu,
    Lsu,
    Immediate,
}

#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    pub d: usize,
    pub s: usize,
    pub t: usize,
    pub immediate: u8,
    /// Bits that a branch asks for; 0 for what is none.
    pub branch_nzp: u8,
    /// ADD where the instruction is not arithmetic: the ALU always computes something.
    pub alu: Alu,
    pub is_compare: bool,
    pub is_load: bool,
    pub is_store: bool,
    pub is_return: bool,
    pub write: Option<Write>,
}

impl Default for Decoded {
    fn default() -> Self {
        Self::from_word(0)
    }
}

impl Decoded {
    pub fn from_word(word: u16) -> Self {
        let mut decoded = Self {
            d: usize::from(word >> 8 & 15),
            s: usize::from(word >> 4 & 15),
            t: usize::from(word & 15),
            immediate: word as u8,
            branch_nzp: 0,
            alu: Alu::Add,
            is_compare: false,
            is_load: false,
            is_store: false,
            is_return: false,
            write: None,
        };
        match Instruction::from_word(word) {
            Instruction::Nop(_) => {}
            Instruction::Branch { nzp, .. } => decoded.branch_nzp = nzp.0,
            Instruction::Compare { .. } => decoded.is_compare = true,
            Instruction::Arithmetic { op, .. } => {
                decoded.alu = op;
                decoded.write = Some(Write::Alu);
            }
            Instruction::Load { .. } => {
                decoded.is_load = true;
                decoded.write = Some(Write::Lsu);
            }
            Instruction::Store { .. } => decoded.is_store = true,
            Instruction::Const { .. } => decoded.write = Some(Write::Immediate),
            Instruction::Return => decoded.is_return = true,
        }
        decoded
    }
}
