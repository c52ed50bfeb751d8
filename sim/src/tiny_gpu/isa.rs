//! Instructions: 16 bits each, to words and back, and as text.
//!
//! `Display` is the disassembler; its text is what [`super::assembler`] reads.

use std::fmt;

/// Read-only registers.
pub const BLOCK_IDX: u8 = 13;
pub const BLOCK_DIM: u8 = 14;
pub const THREAD_IDX: u8 = 15;

/// A register's number, 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

/// What a comparison left: which of these bits a branch asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nzp(pub u8);

impl Nzp {
    pub const N: u8 = 4;
    pub const Z: u8 = 2;
    pub const P: u8 = 1;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alu {
    Add,
    Sub,
    Mul,
    Div,
}

/// An instruction as it is meant. Words that mean nothing are [`Instruction::Nop`] with their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Does nothing; the word, since opcode 0 ignores its other bits and 10 to 14 mean nothing.
    Nop(u16),
    /// To an address if a bit of the last comparison is among these.
    Branch {
        nzp: Nzp,
        to: u8,
    },
    Compare {
        s: Register,
        t: Register,
    },
    Arithmetic {
        op: Alu,
        d: Register,
        s: Register,
        t: Register,
    },
    /// `d = data[s]`
    Load {
        d: Register,
        s: Register,
    },
    /// `data[s] = t`
    Store {
        s: Register,
        t: Register,
    },
    Const {
        d: Register,
        value: u8,
    },
    /// The block ends.
    Return,
}

impl Instruction {
    pub fn from_word(word: u16) -> Self {
        let nibble = |shift: u32| Register((word >> shift & 15) as u8);
        let (d, s, t) = (nibble(8), nibble(4), nibble(0));
        let arithmetic = |op| Self::Arithmetic { op, d, s, t };
        match word >> 12 {
            1 => Self::Branch {
                nzp: Nzp((word >> 9 & 7) as u8),
                to: word as u8,
            },
            2 => Self::Compare { s, t },
            3 => arithmetic(Alu::Add),
            4 => arithmetic(Alu::Sub),
            5 => arithmetic(Alu::Mul),
            6 => arithmetic(Alu::Div),
            7 => Self::Load { d, s },
            8 => Self::Store { s, t },
            9 => Self::Const { d, value: word as u8 },
            15 => Self::Return,
            _ => Self::Nop(word),
        }
    }

    /// The word; bits that do not matter are 0.
    pub fn to_word(self) -> u16 {
        let pack = |opcode: u16, d: Register, s: Register, t: Register| {
            opcode << 12 | u16::from(d.0 & 15) << 8 | u16::from(s.0 & 15) << 4 | u16::from(t.0 & 15)
        };
        let none = Register(0);
        match self {
            Self::Nop(word) => word,
            Self::Branch { nzp, to } => 1 << 12 | u16::from(nzp.0 & 7) << 9 | u16::from(to),
            Self::Compare { s, t } => pack(2, none, s, t),
            Self::Arithmetic { op, d, s, t } => pack(3 + op as u16, d, s, t),
            Self::Load { d, s } => pack(7, d, s, none),
            Self::Store { s, t } => pack(8, none, s, t),
            Self::Const { d, value } => 9 << 12 | u16::from(d.0 & 15) << 8 | u16::from(value),
            Self::Return => 15 << 12,
        }
    }
}

impl Alu {
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Sub => "SUB",
            Self::Mul => "MUL",
            Self::Div => "DIV",
        }
    }

    /// On bytes, modulo 256; what hardware leaves undefined, x / 0, is 255, as a restoring divider gives it.
    pub fn apply(self, s: u8, t: u8) -> u8 {
        match self {
            Self::Add => s.wrapping_add(t),
            Self::Sub => s.wrapping_sub(t),
            Self::Mul => s.wrapping_mul(t),
            Self::Div => s.checked_div(t).unwrap_or(255),
        }
    }
}

/// A comparison's bits. They are no signs: n says "differ", z "equal", and p is never set.
pub fn compare(s: u8, t: u8) -> u8 {
    if s == t { Nzp::Z } else { Nzp::N }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            BLOCK_IDX => f.write_str("%blockIdx"),
            BLOCK_DIM => f.write_str("%blockDim"),
            THREAD_IDX => f.write_str("%threadIdx"),
            number => write!(f, "R{number}"),
        }
    }
}

impl fmt::Display for Nzp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::N, "n"), (Self::Z, "z"), (Self::P, "p")] {
            if self.0 & bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nop(0) => f.write_str("NOP"),
            Self::Nop(word) => write!(f, ".word {word:#06x}"),
            // Without a letter it is never taken.
            Self::Branch { nzp, to } => write!(f, "BR{nzp} {to}"),
            Self::Compare { s, t } => write!(f, "CMP {s}, {t}"),
            Self::Arithmetic { op, d, s, t } => write!(f, "{} {d}, {s}, {t}", op.name()),
            Self::Load { d, s } => write!(f, "LDR {d}, {s}"),
            Self::Store { s, t } => write!(f, "STR {s}, {t}"),
            Self::Const { d, value } => write!(f, "CONST {d}, {value}"),
            Self::Return => f.write_str("RET"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_means_the_same_after_a_round_trip() {
        for word in 0..=u16::MAX {
            let instruction = Instruction::from_word(word);
            assert_eq!(Instruction::from_word(instruction.to_word()), instruction, "{word:#06x}");
        }
    }

    #[test]
    fn the_disassembly_is_that_of_upstreams_listing() {
        let cases = [
            (0x50de, "MUL R0, %blockIdx, %blockDim"),
            (0x300f, "ADD R0, R0, %threadIdx"),
            (0x9208, "CONST R2, 8"),
            (0x7440, "LDR R4, R4"),
            (0x8076, "STR R7, R6"),
            (0x2094, "CMP R9, R4"),
            (0x180c, "BRn 12"),
            (0x1e07, "BRnzp 7"),
            (0xf000, "RET"),
            (0x1107, "BR 7"),
            (0x0000, "NOP"),
            (0xa123, ".word 0xa123"),
        ];
        for (word, text) in cases {
            assert_eq!(Instruction::from_word(word).to_string(), text, "{word:#06x}");
        }
    }
}
