//! The machine against the plain interpreter: random programs, every configuration, every switch.

use proptest::prelude::*;

use super::interpreter;
use super::isa::{Alu, Instruction, Nzp, Register};
use super::{Config, Features, Ideal, MEMORY, Machine};

/// Straight-line code with forward branches, so that it ends; lanes write only addresses of their own, so that none race.
fn program() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 0..40).prop_map(|seeds| {
        // R12 = the thread's own address, block · dim + thread; R11 = 4, so that four bytes belong to each.
        let head = [(Alu::Mul, 12, 13, 14), (Alu::Add, 12, 12, 15)];
        let mut words: Vec<u16> = head
            .iter()
            .map(|&(op, d, s, t)| {
                Instruction::Arithmetic {
                    op,
                    d: Register(d),
                    s: Register(s),
                    t: Register(t),
                }
                .to_word()
            })
            .collect();
        for (i, (kind, d, s, t)) in (0..).zip(seeds) {
            let (d, s, t) = (Register(d % 12), Register(s % 16), Register(t % 16));
            let instruction = match kind % 10 {
                0 => Instruction::Nop(u16::from(kind) << 4),
                1 => Instruction::Compare { s, t },
                2 => Instruction::Branch {
                    nzp: Nzp(kind / 10 % 8),
                    to: 2 + i + 1 + (kind / 80),
                },
                3 => Instruction::Load { d, s: Register(12) },
                4 => Instruction::Store { s: Register(12), t },
                5 => Instruction::Const { d, value: kind ^ s.0 },
                6 => Instruction::Arithmetic { op: Alu::Add, d, s, t },
                7 => Instruction::Arithmetic { op: Alu::Sub, d, s, t },
                8 => Instruction::Arithmetic { op: Alu::Mul, d, s, t },
                _ => Instruction::Arithmetic { op: Alu::Div, d, s, t },
            };
            words.push(instruction.to_word());
        }
        words.extend([Instruction::Return.to_word(); 4]);
        words
    })
}

fn config() -> impl Strategy<Value = Config> {
    let shape = (1usize..5, 1usize..6, 1usize..6, 1usize..4, 1u32..4);
    (shape, any::<[bool; 9]>()).prop_map(|((cores, lanes, data, program, latency), switches)| Config {
        cores,
        threads_per_block: lanes,
        data_channels: data,
        program_channels: program,
        memory_latency_cycles: latency,
        features: Features {
            instruction_cache: switches[0],
            data_cache: switches[1],
            coalescing: switches[2],
            pipelined_fetch: switches[3],
            divergence: switches[4],
            pc_from_first_lane: false,
        },
        ideal: Ideal {
            perfect_cache: switches[6],
            zero_latency: switches[7],
            unlimited_channels: switches[8],
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn memory_ends_as_the_interpreter_says(
        config in config(),
        words in program(),
        data in proptest::collection::vec(any::<u8>(), MEMORY),
        blocks in 0usize..6,
        partial in 0usize..6,
    ) {
        // Without divergence a partial block never ends.
        let dim = config.threads_per_block;
        let threads = blocks * dim + if config.features.divergence { partial % dim } else { 0 };
        let mut machine = Machine::new(&config, &words, &data, threads).expect("a possible machine");
        let outcome = machine.run(200_000);
        prop_assert!(outcome.done, "still at work after {} cycles", outcome.cycles);
        let program = *machine.program();
        let data: [u8; MEMORY] = data.try_into().expect("as many bytes as memory has");
        let expected = interpreter::run(&program, data, threads, dim, config.features.divergence, 10_000);
        prop_assert_eq!(Some(machine.data().as_slice()), expected.as_ref().map(|data| data.as_slice()));
    }
}

#[test]
fn a_partial_block_never_ends_as_in_the_original_and_ends_with_divergence() {
    let words = [
        Instruction::Const {
            d: Register(0),
            value: 7,
        }
        .to_word(),
        Instruction::Store {
            s: Register(15),
            t: Register(0),
        }
        .to_word(),
        Instruction::Return.to_word(),
    ];
    let mut config = Config::default();
    let mut machine = Machine::new(&config, &words, &[], 6).expect("a possible machine");
    assert!(!machine.run(10_000).done);
    config.features.divergence = true;
    let mut machine = Machine::new(&config, &words, &[], 6).expect("a possible machine");
    assert!(machine.run(10_000).done);
    assert_eq!(machine.data()[..5], [7, 7, 7, 7, 0]);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Machine::new(&config, &[], &[], 4)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert!(refused(|_| {}).is_ok());
    assert!(refused(|c| c.cores = 0).is_err_and(|text| text.starts_with("cores is 0; 1 to")));
    assert!(refused(|c| c.threads_per_block = 65).is_err_and(|text| text.starts_with("threads_per_block is 65; 1 to 64")));
    assert!(refused(|c| c.data_channels = 0).is_err());
    assert!(refused(|c| c.memory_latency_cycles = 0).is_err());
    let config = Config::default();
    assert!(Machine::new(&config, &[0; 257], &[], 4).is_err());
    assert!(Machine::new(&config, &[], &[0; 257], 4).is_err());
    assert!(Machine::new(&config, &[], &[], 256).is_err());
}
