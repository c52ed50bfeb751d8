//! What each feature and each idealisation is worth, by running the program with it: cycles counted, nothing assumed.

use serde::Serialize;

use super::{Config, Error, Features, Ideal, Machine, Outcome};

/// A program, what it works on, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub program: &'a [u16],
    pub data: &'a [u8],
    pub threads: usize,
    pub max_cycles: u64,
}

/// One way to run a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worth {
    pub name: &'static str,
    /// `None`: it did not end within its cycles.
    pub cycles: Option<u64>,
    /// How many times fewer cycles than the machine as it is.
    pub speedup: Option<f64>,
    /// Whether memory ended as on the machine as it is.
    pub same_result: bool,
}

type Switch = (&'static str, fn(&mut Features), fn(&mut Ideal));

const SWITCHES: [Switch; 11] = [
    ("as it is", |_| {}, |_| {}),
    ("instruction cache", |f| f.instruction_cache = true, |_| {}),
    ("data cache", |f| f.data_cache = true, |_| {}),
    ("coalescing", |f| f.coalescing = true, |_| {}),
    ("pipelined fetch", |f| f.pipelined_fetch = true, |_| {}),
    ("divergence", |f| f.divergence = true, |_| {}),
    ("all of these", all_features, |_| {}),
    ("perfect cache", |_| {}, |i| i.perfect_cache = true),
    ("zero latency", |_| {}, |i| i.zero_latency = true),
    ("unlimited channels", |_| {}, |i| i.unlimited_channels = true),
    ("impossible: all of both", all_features, |i| {
        (i.perfect_cache, i.zero_latency, i.unlimited_channels) = (true, true, true);
    }),
];

fn all_features(features: &mut Features) {
    features.instruction_cache = true;
    features.data_cache = true;
    features.coalescing = true;
    features.pipelined_fetch = true;
    features.divergence = true;
}

/// The job on `config`, then with each switch alone, then with all; the first row is what the others are measured by.
///
/// Errors: as [`Machine::new`].
pub fn worth(config: &Config, job: Job<'_>) -> Result<Vec<Worth>, Error> {
    let run = |config: &Config| -> Result<(Outcome, Vec<u8>), Error> {
        let mut machine = Machine::new(config, job.program, job.data, job.threads)?;
        let outcome = machine.run(job.max_cycles);
        Ok((outcome, machine.data().to_vec()))
    };
    let (base, base_data) = run(config)?;
    let mut rows = Vec::new();
    for (name, feature, ideal) in SWITCHES {
        let mut config = config.clone();
        feature(&mut config.features);
        ideal(&mut config.ideal);
        let (outcome, data) = run(&config)?;
        rows.push(Worth {
            name,
            cycles: outcome.done.then_some(outcome.cycles),
            speedup: (outcome.done && base.done).then(|| base.cycles as f64 / outcome.cycles as f64),
            same_result: data == base_data,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_gpu::assembler::assemble;

    const LOOP: &str = "
        .threads 8
        .data 1 2 3 4 5 6 7 8
        MUL R0, %blockIdx, %blockDim
        ADD R0, R0, %threadIdx
        CONST R1, 0
        CONST R2, 1
        CONST R3, 5
        CONST R6, 16
        AGAIN: LDR R4, R0
        ADD R5, R5, R4
        ADD R1, R1, R2
        CMP R1, R3
        BRn AGAIN
        ADD R6, R6, R0
        STR R6, R5
        RET";

    #[test]
    fn nothing_is_slower_with_a_switch_and_every_result_is_the_same() {
        let program = assemble(LOOP).expect("a right text");
        let job = Job {
            program: &program.words,
            data: &program.data,
            threads: 8,
            max_cycles: 100_000,
        };
        let rows = worth(&Config::default(), job).expect("a possible machine");
        let cycles = |name: &str| {
            let row = rows.iter().find(|row| row.name == name).expect("a row of this name");
            assert!(row.same_result, "{name}");
            row.cycles.expect(name)
        };
        let base = cycles("as it is");
        for faster in [
            "instruction cache",
            "data cache",
            "pipelined fetch",
            "perfect cache",
            "zero latency",
            "unlimited channels",
        ] {
            assert!(cycles(faster) < base, "{faster}: {} of {base}", cycles(faster));
        }
        assert!(cycles("coalescing") <= base);
        // Every lane loads an address of its own, and all go one way.
        assert_eq!(cycles("divergence"), base);
        let best = cycles("impossible: all of both");
        assert!(rows.iter().all(|row| row.cycles >= Some(best)));
        assert!(
            base < 10 * best,
            "a whole instruction takes six cycles even then: {base} and {best}"
        );
    }

    #[test]
    fn a_job_that_never_ends_has_no_cycles_and_no_speedup() {
        let program = assemble("CONST R0, 1\nCMP R0, R0\nBRz 0\nRET").expect("a right text");
        let job = Job {
            program: &program.words,
            data: &[],
            threads: 4,
            max_cycles: 2_000,
        };
        let rows = worth(&Config::default(), job).expect("a possible machine");
        assert!(rows.iter().all(|row| row.cycles.is_none() && row.speedup.is_none()));
    }
}
