//! `cargo xtask golden DIR…`: builds and runs the program `golden` of package `tests`, which has the engines.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};

use crate::Usage;
use crate::process::{cargo, status, step};

/// Compares every engine with the golden folders among `args`; what starts with `-` is passed on.
///
/// The exit code is the program's: 0 when all is within tolerance, 1 when a value is out.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let (flags, folders): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if folders.is_empty() && flags.is_empty() {
        bail!(Usage("golden needs a folder: cargo xtask golden DIR…".into()));
    }
    let folders = folders.into_iter().map(absolute).collect::<Result<Vec<_>>>()?;
    let code = compare(&folders, &flags)?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Builds the program and runs it on `folders`.
pub fn compare(folders: &[PathBuf], flags: &[&String]) -> Result<ExitStatus> {
    step("build golden", &mut cargo("build --release --package tests --bin golden"))?;
    let mut command = cargo("run --quiet --release --package tests --bin golden --");
    status(command.args(flags).args(folders))
}

/// The program runs in the workspace's folder, the user may be elsewhere.
fn absolute(folder: &String) -> Result<PathBuf> {
    Path::new(folder)
        .canonicalize()
        .with_context(|| format!("cannot open the golden folder `{folder}`"))
}
