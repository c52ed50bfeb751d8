//! The same programs without any clock: each block in turn, an instruction at a time, all its lanes in step. What the
//! machine must come to wherever lanes do not race; differential tests hold it to this.

use super::MEMORY;
use super::isa::{self, BLOCK_DIM, BLOCK_IDX, Instruction, Register, THREAD_IDX};

/// Data memory after all blocks, or `None` if a block had not ended after `max_instructions`.
///
/// `divergence`: each lane goes its own way; without it all follow lane `threads_per_block − 1`, and a block that lacks
/// that lane never ends unless its first instruction is RET.
pub fn run(
    program: &[u16; MEMORY],
    mut data: [u8; MEMORY],
    threads: usize,
    threads_per_block: usize,
    divergence: bool,
    max_instructions: u64,
) -> Option<[u8; MEMORY]> {
    for block in 0..threads.div_ceil(threads_per_block) {
        let n_lanes = (threads - block * threads_per_block).min(threads_per_block);
        let mut lanes: Vec<Lane> = (0..n_lanes).map(|idx| Lane::new(block, threads_per_block, idx)).collect();
        let mut left = max_instructions;
        if divergence {
            for lane in &mut lanes {
                while lane.step(program, &mut data) {
                    left = left.checked_sub(1)?;
                }
            }
            continue;
        }
        let mut pc = 0;
        loop {
            left = left.checked_sub(1)?;
            let instruction = Instruction::from_word(program[usize::from(pc)]);
            if instruction == Instruction::Return {
                break;
            }
            for lane in &mut lanes {
                lane.pc = pc;
                lane.execute(instruction, &mut data);
            }
            pc = lanes.get(threads_per_block - 1).map_or(0, |last| last.pc);
        }
    }
    Some(data)
}

struct Lane {
    registers: [u8; 16],
    nzp: u8,
    pc: u8,
}

impl Lane {
    fn new(block: usize, block_dim: usize, thread: usize) -> Self {
        let mut registers = [0; 16];
        registers[usize::from(BLOCK_IDX)] = block as u8;
        registers[usize::from(BLOCK_DIM)] = block_dim as u8;
        registers[usize::from(THREAD_IDX)] = thread as u8;
        Self {
            registers,
            nzp: 0,
            pc: 0,
        }
    }

    /// One instruction; false at RET.
    fn step(&mut self, program: &[u16; MEMORY], data: &mut [u8; MEMORY]) -> bool {
        let instruction = Instruction::from_word(program[usize::from(self.pc)]);
        if instruction == Instruction::Return {
            return false;
        }
        self.execute(instruction, data);
        true
    }

    fn execute(&mut self, instruction: Instruction, data: &mut [u8; MEMORY]) {
        let value = |lane: &Self, register: Register| lane.registers[usize::from(register.0)];
        let mut next = self.pc.wrapping_add(1);
        match instruction {
            Instruction::Nop(_) | Instruction::Return => {}
            Instruction::Branch { nzp, to } => {
                if self.nzp & nzp.0 != 0 {
                    next = to;
                }
            }
            Instruction::Compare { s, t } => self.nzp = isa::compare(value(self, s), value(self, t)),
            Instruction::Arithmetic { op, d, s, t } => self.set(d, op.apply(value(self, s), value(self, t))),
            Instruction::Load { d, s } => self.set(d, data[usize::from(value(self, s))]),
            Instruction::Store { s, t } => data[usize::from(value(self, s))] = value(self, t),
            Instruction::Const { d, value } => self.set(d, value),
        }
        self.pc = next;
    }

    fn set(&mut self, d: Register, value: u8) {
        if d.0 < BLOCK_IDX {
            self.registers[usize::from(d.0)] = value;
        }
    }
}
