//! Programs that travel with the simulator.

/// Their names.
pub const NAMES: [&str; 2] = ["matadd", "matmul"];

/// The text of one.
pub fn text(name: &str) -> Option<&'static str> {
    match name {
        "matadd" => Some(include_str!("../../programs/matadd.asm")),
        "matmul" => Some(include_str!("../../programs/matmul.asm")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_gpu::assembler::assemble;
    use crate::tiny_gpu::{Config, Machine};

    /// The cycles are those that the hardware's own tests count.
    #[test]
    fn bundled_programs_take_the_known_cycles_and_give_the_right_matrices() {
        let cases = [
            ("matadd", 178, 16, vec![0, 2, 4, 6, 8, 10, 12, 14]),
            ("matmul", 491, 8, vec![7, 10, 15, 22]),
        ];
        for (name, cycles, at, expected) in cases {
            let program = assemble(text(name).expect("a bundled name")).expect("a right text");
            let threads = program.threads.expect("bundled programs say so");
            let config = Config::default();
            let mut machine = Machine::new(&config, &program.words, &program.data, threads).expect("a possible machine");
            let outcome = machine.run(10_000);
            assert_eq!((outcome.done, outcome.cycles), (true, cycles), "{name}");
            assert_eq!(machine.data()[at..at + expected.len()], expected, "{name}");
        }
    }
}
