//! Any bytes as a machine and a program: all units together come to what a plain interpreter says, or neither ends; any
//! text as assembler: words, or a list of faults.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim::tiny_gpu::assembler::assemble;
use sim::tiny_gpu::isa::Instruction;
use sim::tiny_gpu::{Config, Features, Ideal, MEMORY, Machine, interpreter};

/// A block never runs longer than so many instructions here.
const MAX_INSTRUCTIONS: u64 = 3_000;
/// An instruction takes far fewer, whatever the latency and the contention.
const CYCLES_AN_INSTRUCTION: u64 = 400;

fuzz_target!(|input: ([u8; 8], Vec<u16>, &str)| {
    let (shape, words, text) = input;
    match assemble(text) {
        Ok(program) => assert!(program.words.len() <= MEMORY && program.words.len() == program.lines.len()),
        Err(faults) => assert!(!faults.is_empty()),
    }
    let bit = |i: u32| shape[7] >> i & 1 == 1;
    let config = Config {
        cores: 1 + usize::from(shape[0] % 4),
        threads_per_block: 1 + usize::from(shape[1] % 5),
        data_channels: 1 + usize::from(shape[2] % 5),
        program_channels: 1 + usize::from(shape[3] % 3),
        memory_latency_cycles: 1 + u32::from(shape[4] % 3),
        features: Features {
            instruction_cache: bit(0),
            data_cache: bit(1),
            coalescing: bit(2),
            pipelined_fetch: bit(3),
            divergence: bit(4),
            pc_from_first_lane: false,
        },
        ideal: Ideal {
            perfect_cache: bit(5),
            zero_latency: bit(6),
            unlimited_channels: bit(7),
        },
    };
    // Lanes that race for an address end as their timing has it: loads and stores use each thread's own, in R12, and
    // nothing else is written there.
    let head = ["MUL R12, %blockIdx, %blockDim", "ADD R12, R12, %threadIdx"].map(|line| assemble(line).expect("a right line").words[0]);
    let body = words.iter().take(MEMORY - 3).map(|&word| match Instruction::from_word(word) {
        Instruction::Load { d, .. } => word & 0xf000 | u16::from(d.0 % 12) << 8 | 12 << 4,
        Instruction::Store { .. } => word & 0xff0f | 12 << 4,
        Instruction::Arithmetic { d, .. } | Instruction::Const { d, .. } if d.0 == 12 => word & 0xf0ff,
        _ => word,
    });
    let program: Vec<u16> = head.into_iter().chain(body).chain([Instruction::Return.to_word()]).collect();
    let dim = config.threads_per_block;
    let threads = match config.features.divergence {
        true => usize::from(shape[5] % 20),
        false => usize::from(shape[5] % 5) * dim,
    };
    let data = [shape[6]; MEMORY];
    let mut machine = Machine::new(&config, &program, &data, threads).expect("a possible machine");
    let expected = interpreter::run(machine.program(), data, threads, dim, config.features.divergence, MAX_INSTRUCTIONS);
    let blocks = threads.div_ceil(dim) as u64;
    let outcome = machine.run((1 + blocks) * dim as u64 * MAX_INSTRUCTIONS * CYCLES_AN_INSTRUCTION * u64::from(expected.is_some()));
    if let Some(expected) = expected {
        assert!(outcome.done);
        assert!(machine.data()[..] == expected[..]);
    }
});
