//! `qwglm bench`: how fast this machine is, as a table or as JSON. What is measured is in the files beside this one.

pub mod args;
pub mod calibrate;
mod cpu;
mod kernels;
mod machine;
mod memory;
mod model;
mod model_report;
mod observed;
mod pipeline;
mod shape;
mod soak;
mod speech;
mod stages;
mod talk;

use anyhow::Result;

use self::args::{BenchArgs, BenchCommand, BenchKernelsArgs, BenchModelArgs, BenchPipelineArgs, BenchSoakArgs, BenchTalkArgs};
use crate::args::QuantArg;
use crate::print;

/// Runs one benchmark.
///
/// Errors: those of the runs that are measured.
pub async fn bench(args: BenchArgs) -> Result<()> {
    match args.what {
        Some(BenchCommand::Kernels(args)) => bench_kernels(args).await,
        Some(BenchCommand::Pipeline(args)) => bench_pipeline(args).await,
        Some(BenchCommand::Soak(args)) => bench_soak(args).await,
        Some(BenchCommand::Talk(args)) => bench_talk(args).await,
        None if args.model.calibrate => bench_calibrate(args.model).await,
        None if speech::is_speech(&args.model.shape.shape) => bench_speech(args.model).await,
        None => bench_model(args.model).await,
    }
}

async fn bench_model(args: BenchModelArgs) -> Result<()> {
    let measured = model::measure(&args).await?;
    match args.shape.json {
        true => print(&format!("{}\n", measured.json()?)),
        false => print(&measured.table()),
    }
}

async fn bench_speech(args: BenchModelArgs) -> Result<()> {
    let measured = speech::measure(&args).await?;
    match args.shape.json {
        true => print(&format!("{}\n", measured.json()?)),
        false => print(&measured.table()),
    }
}

async fn bench_talk(args: BenchTalkArgs) -> Result<()> {
    let measured = talk::measure(&args).await?;
    match args.shape.json {
        true => print(&format!("{}\n", measured.json()?)),
        false => print(&measured.table()),
    }
}

async fn bench_calibrate(args: BenchModelArgs) -> Result<()> {
    let calibrated = calibrate::measure(&args).await?;
    match args.shape.json {
        true => print(&format!("{}\n", calibrated.json()?)),
        false => print(&calibrated.table()),
    }
}

async fn bench_kernels(args: BenchKernelsArgs) -> Result<()> {
    let measured = kernels::measure(&args).await?;
    match args.shape.json {
        true => print(&format!("{}\n", measured.json()?)),
        false => print(&measured.table()),
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

/// How weights are stored, in reports.
fn bits(quant: QuantArg) -> &'static str {
    match quant {
        QuantArg::Q4 => "4",
        QuantArg::Q8 => "8",
        QuantArg::Dense => "dense",
    }
}

/// The middle of some values; 0 of none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
