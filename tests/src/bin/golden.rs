//! `golden [--engine hybrid] DIR…`: a table with the worst error of each engine, precision and case; exit code 1 when one is
//! out.

use std::path::PathBuf;
use std::process::ExitCode;

use tests::golden::{Scope, compare, print};

const USAGE: &str = "usage: golden [--engine hybrid] DIR…

Compares every engine with golden folders, for instance tests/golden/qwen3-vl-s1; with --engine hybrid those that are made of a
real and a simulated one.";

fn main() -> ExitCode {
    let mut scope = Scope::All;
    let mut folders = Vec::new();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--engine") if args.next().is_some_and(|engine| engine == "hybrid") => scope = Scope::Hybrid,
            Some(option) if option.starts_with("--") => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
            _ => folders.push(PathBuf::from(arg)),
        }
    }
    if folders.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let rows: Vec<_> = folders.iter().flat_map(|folder| compare(folder, scope)).collect();
    if print(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
