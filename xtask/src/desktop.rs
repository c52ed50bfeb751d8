//! `cargo xtask desktop`: the program with microphone, speaker and screen, and the libraries that it takes to build it.

use anyhow::Result;

use crate::process::{cargo, released, step};
use crate::setup;

/// Sets up, and builds a release with feature `desktop`.
///
/// Errors: a library is missing and cannot be installed from here; the build failed.
pub fn run() -> Result<()> {
    setup::run(setup::Need::Desktop)?;
    step(
        "build qwglm with microphone, speaker and screen",
        &mut cargo("build --release --package qwglm --features desktop"),
    )?;
    eprintln!("── talk to it: {} talk", released("qwglm")?.display());
    Ok(())
}
