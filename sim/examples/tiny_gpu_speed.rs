//! How many core-cycles a second tiny-gpu is stepped on one thread, default configuration, nothing traced.
//! `cargo run --release -p sim --example tiny_gpu_speed`

use std::time::Instant;

use sim::tiny_gpu::assembler::assemble;
use sim::tiny_gpu::{Config, Machine, programs};

/// Arithmetic alone, and a load and a store a turn, without an end.
const ARITHMETIC: &str = ".threads 8\nLOOP: ADD R0, R0, %threadIdx\nMUL R1, R0, R0\nCMP R0, R0\nBRz LOOP\nRET";
const MEMORY: &str = ".threads 8\nLOOP: LDR R0, %threadIdx\nSTR %threadIdx, R0\nCMP R0, R0\nBRz LOOP\nRET";
const CYCLES: u64 = 20_000_000;
const RUNS: usize = 5;

fn main() {
    let bundled = programs::NAMES.map(|name| (name, programs::text(name).unwrap_or_default()));
    let all = bundled.into_iter().chain([("arithmetic", ARITHMETIC), ("memory", MEMORY)]);
    println!("millions of core-cycles a second, median of {RUNS}, each over {CYCLES} cycles or more");
    for (name, text) in all {
        let program = assemble(text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        let config = Config::default();
        let threads = program.threads.unwrap_or(8);
        let mut rates: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                let mut cycles = 0;
                // A program that ends is begun again.
                while cycles < CYCLES {
                    let machine = Machine::new(&config, &program.words, &program.data, threads);
                    cycles += machine.map_or(CYCLES, |mut machine| machine.run(CYCLES).cycles);
                }
                (cycles * config.cores as u64) as f64 / start.elapsed().as_secs_f64() / 1e6
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!("  {name:<12}{:>8.1}", rates[RUNS / 2]);
    }
}
