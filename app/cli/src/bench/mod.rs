//! `qwglm bench`: how fast this machine is, as a table or as JSON. What is measured is in the files beside this one.

mod memory;
mod pipeline;
mod soak;
mod stages;

use anyhow::Result;

use crate::args::{BenchCommand, BenchPipelineArgs, BenchSoakArgs};
use crate::print;

/// Runs one benchmark.
///
/// Errors: those of the runs that are measured.
pub async fn bench(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Pipeline(args) => bench_pipeline(args).await,
        BenchCommand::Soak(args) => bench_soak(args).await,
    }
}

async fn bench_soak(args: BenchSoakArgs) -> Result<()> {
    let soaked = soak::soak(&args).await?;
    match args.json {
        true => print(&format!("{}\n", soaked.json()))?,
        false => print(&soaked.table())?,
    }
    soaked.check()
}

async fn bench_pipeline(args: BenchPipelineArgs) -> Result<()> {
    let measured = pipeline::measure(args.packets, args.runs).await?;
    match args.json {
        true => print(&format!("{}\n", measured.json())),
        false => print(&measured.table()),
    }
}
