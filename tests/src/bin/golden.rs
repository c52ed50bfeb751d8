//! `golden [--engine hybrid] DIR…`: a table with the worst error of each engine, precision and case; exit code 1 when one is
//! out. `golden --pack DIR…` makes archives of folders.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use tests::golden::{Scope, compare, print};

const USAGE: &str = "usage: golden [--engine hybrid] DIR…
       golden --pack DIR…

Compares every engine with golden folders or their archives, for instance tests/golden/qwen3-vl-s1.tar.xz; with --engine hybrid
those that are made of a real and a simulated one. With --pack writes DIR.tar.xz beside each folder.";

fn main() -> ExitCode {
    let mut scope = Scope::All;
    let mut pack = false;
    let mut folders = Vec::new();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--engine") if args.next().is_some_and(|engine| engine == "hybrid") => scope = Scope::Hybrid,
            Some("--pack") => pack = true,
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
    match work(&folders, pack, scope) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("golden: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn work(folders: &[PathBuf], pack: bool, scope: Scope) -> Result<bool> {
    if pack {
        for folder in folders {
            println!("{}", goldens::pack(folder)?.display());
        }
        return Ok(true);
    }
    let rows: Vec<_> = folders.iter().flat_map(|folder| compare(folder, scope)).collect();
    Ok(print(&rows))
}
