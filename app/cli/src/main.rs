//! `qwglm`: looks at a screen, listens and talks. This file starts and ends the program; each command has its own.

mod args;
mod ask;
mod bench;
mod choice;
mod doctor;
mod embedded;
mod failure;
mod graph;
mod graph_text;
mod hybrid;
mod models;
mod narrate;
mod plan;
mod play;
mod progress;
mod replay;
mod run;
mod say;
mod self_test;
mod setup;
mod source;
mod talk;
mod tape;
mod tiny_gpu;
mod transcribe;
mod view;
mod waterfall;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};

/// How long threads that still read a device may hold up the end.
const LAST_WAIT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_tracing(cli.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program's threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        let result = dispatch(cli.command).await;
        setup::engines_ended().await;
        result
    });
    runtime.shutdown_timeout(LAST_WAIT);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", failure::message(&error));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

async fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Narrate(args) => narrate::narrate(args).await,
        Command::Ask(args) => ask::ask(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Replay(args) => replay::replay(args).await,
        Command::Say(args) => say::say(args).await,
        Command::Transcribe(args) => transcribe::transcribe(args).await,
        Command::Talk(args) => talk::talk(args).await,
        Command::Graph(args) => graph::graph(&args),
        Command::Plan(args) => plan::plan(args).await,
        Command::Sim(args) => tiny_gpu::simulate(&args),
        Command::Bench(args) => bench::bench(args).await,
        Command::Doctor(args) => doctor::doctor(&args).await,
    }
}

/// Quiet unless asked; `RUST_LOG` says it more finely.
fn start_tracing(verbose: u8) {
    let default = match verbose {
        0 => "error",
        1 => "qwglm=debug,pipeline=info,gpu=info,sim=info,stages=info,warn",
        _ => "qwglm=trace,pipeline=trace,gpu=trace,sim=trace,stages=trace,info",
    };
    let filter = match verbose {
        0 => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
        _ => EnvFilter::new(default),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| view::held::Stderr)
        .init();
}

/// Writes to standard output at once.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output cannot be written")
}

fn print_line(line: &str) -> Result<()> {
    print(&format!("{line}\n"))
}
