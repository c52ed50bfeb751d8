//! `golden DIR…`: a table with the worst error of each engine, precision and case; exit code 1 when one is out.

use std::path::PathBuf;
use std::process::ExitCode;

use tests::golden::{Scope, compare, print};

fn main() -> ExitCode {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        eprintln!("usage: golden DIR…\n\nCompares every engine with golden folders, for instance tests/golden/qwen3-vl-s1.");
        return ExitCode::from(2);
    }
    let rows: Vec<_> = folders.iter().flat_map(|folder| compare(folder, Scope::All)).collect();
    if print(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
