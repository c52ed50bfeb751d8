//! `qwglm sim`: runs a program on the simulated tiny-gpu, and says what it did and what would make it faster.

mod args;
mod chart;
mod table;

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use sim::tiny_gpu::assembler::{Program, assemble};
use sim::tiny_gpu::ideal::{Job, Worth, worth};
use sim::tiny_gpu::report::Report;
use sim::tiny_gpu::trace::{Recorder, Trace};
use sim::tiny_gpu::{Config, Machine, perfetto, programs};

pub use args::{EXAMPLES, SimArgs};

use crate::failure::usage;
use crate::print;

/// What a run came to, as `--json` has it.
#[derive(Serialize)]
struct Ran<'a> {
    program: &'a str,
    threads: usize,
    report: Report,
    /// All bytes of data memory.
    memory: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Vec<Worth>>,
}

/// Runs the program.
///
/// Errors: a file that cannot be read or written; faults of the text, each with its place; a machine that cannot be (these
/// are usage errors); a program that did not end within its cycles.
pub fn simulate(args: &SimArgs) -> Result<()> {
    let (name, text) = read(&args.program)?;
    let program = assemble(&text).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("{name}: {fault}")).collect();
        usage(lines.join("\n"))
    })?;
    let threads = args.threads.or(program.threads).ok_or_else(|| {
        usage(format!(
            "{name} does not say how many threads it is for; add a line `.threads 8`, or --threads 8"
        ))
    })?;
    let config = args.config();
    let mut machine = Machine::new(&config, &program.words, &program.data, threads).map_err(|error| usage(error.to_string()))?;
    let wants_trace = args.trace.is_some() || args.trace_lines.is_some();
    if wants_trace {
        let trace = Recorder::new(&machine).run(&mut machine, args.max_cycles);
        write_traces(args, &trace)?;
    } else {
        machine.run(args.max_cycles);
    }
    let compared = compare(args, &config, &program, threads)?;
    if let (Some(path), Some(rows)) = (&args.svg, &compared) {
        let heading = format!("{name}, {threads} threads: cycles with each switch alone");
        write(path, &chart::svg(&heading, rows))?;
    }
    let ran = Ran {
        program: &name,
        threads,
        report: Report::of(&machine),
        memory: machine.data().to_vec(),
        compared,
    };
    match args.json {
        true => print(&format!("{}\n", serde_json::to_string(&ran)?))?,
        false => print(&table::text(&ran))?,
    }
    if !machine.is_done() {
        anyhow::bail!("{}", why_not_done(args, &config, threads));
    }
    Ok(())
}

/// The name and the text of a file, or of a program that is bundled.
fn read(program: &Path) -> Result<(String, String)> {
    let name = program.to_string_lossy().into_owned();
    if let Some(text) = programs::text(&name) {
        return Ok((name, text.to_owned()));
    }
    let text = std::fs::read_to_string(program).map_err(|error| {
        let bundled = programs::NAMES.join(", ");
        usage(format!("{name} cannot be read: {error}; bundled programs are {bundled}"))
    })?;
    Ok((name, text))
}

fn compare(args: &SimArgs, config: &Config, program: &Program, threads: usize) -> Result<Option<Vec<Worth>>> {
    if !args.compare && args.svg.is_none() {
        return Ok(None);
    }
    let job = Job {
        program: &program.words,
        data: &program.data,
        threads,
        max_cycles: args.max_cycles,
    };
    Ok(Some(worth(config, job)?))
}

fn write_traces(args: &SimArgs, trace: &Trace) -> Result<()> {
    if let Some(path) = &args.trace {
        write(path, &perfetto::perfetto(trace))?;
    }
    if let Some(path) = &args.trace_lines {
        let lines: String = perfetto::json_lines(trace).map(|line| line + "\n").collect();
        write(path, &lines)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn why_not_done(args: &SimArgs, config: &Config, threads: usize) -> String {
    let cycles = args.max_cycles;
    let dim = config.threads_per_block;
    match config.endless_block(threads) {
        Some(left) => format!(
            "not done after {cycles} cycles: {threads} threads leave a block of {left}, and in tiny-gpu a block with fewer \
             than {dim} never ends; take a multiple of {dim}, or --with divergence"
        ),
        None => format!("not done after {cycles} cycles: the program may never end; --max-cycles allows more"),
    }
}
