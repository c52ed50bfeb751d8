//! `cargo xtask golden DIR…`: builds and runs the program `golden` of package `tests`, which has the engines.

use std::ffi::OsStr;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Result, bail};

use crate::Usage;
use crate::process::{cargo, released, status, step};

/// Compares every engine with the golden folders or archives `args`, or packs folders (`--pack`).
///
/// The exit code is the program's: 0 when all is within tolerance, 1 when a value is out.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if args.is_empty() {
        bail!(Usage("golden needs a folder or an archive: cargo xtask golden DIR…".into()));
    }
    let code = compare(args)?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Builds the program and runs it on `folders`.
pub fn compare(folders: &[impl AsRef<OsStr>]) -> Result<ExitStatus> {
    step("build golden", &mut cargo("build --release --package tests --bin golden"))?;
    status(Command::new(released("golden")?).args(folders))
}
