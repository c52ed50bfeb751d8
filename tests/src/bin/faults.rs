//! `faults [--real] FIRST N`: runs of `configs/narrate.toml` whose stages go wrong as the seeds `FIRST .. FIRST + N` say. Writes an
//! object for each to standard error; standard output is the terminal sink's. Exit code 1 when a run was not as it should be.
//!
//! A program of its own, so that its memory is that of the runs alone and its standard output can be read. Memory is what is
//! allocated and not freed: what is resident also holds what the allocator keeps of the moments when most threads were busy, which
//! grows by chance.

use std::alloc::System;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cap::Cap;
use tests::faults::narrate::Bench;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let is_real = args.first().is_some_and(|arg| arg == "--real");
    if is_real {
        args.remove(0);
    }
    let number = |index: usize| -> Result<u64> {
        let arg = args.get(index).context("usage: faults [--real] FIRST N")?;
        arg.parse().context("usage: faults [--real] FIRST N")
    };
    let (first, n) = (number(0)?, number(1)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        println!("undisturbed");
        let bench = Bench::new(is_real).await?;
        for seed in first..first + n {
            println!("seed {seed}");
            let outcome = bench.run(seed).await?;
            let mut object = serde_json::to_value(outcome)?;
            object["allocated_bytes"] = ALLOCATOR.allocated().into();
            eprintln!("{object}");
        }
        Ok(())
    })
}
