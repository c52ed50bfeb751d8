//! `cargo xtask demo`: set-up, a release build, and the bundled screen recording narrated in this terminal.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{cargo, root, seconds, status, step};
use crate::setup;

const RECORDING: &str = "tests/data/recording";

/// Narrates the bundled recording. `args` go to `qwglm narrate`; a source among them takes the recording's place.
///
/// Prints how long set-up, build and narration took. Errors: a phase failed.
pub fn run(args: &[String]) -> Result<()> {
    let start = Instant::now();
    setup::run(setup::Need::Narrate)?;
    let set_up = start.elapsed();
    step("build qwglm", &mut cargo("build --release --package qwglm"))?;
    let built = start.elapsed();

    let mut narrate = cargo("run --quiet --release --package qwglm -- narrate");
    narrate.args(args);
    if args.iter().all(|arg| arg.starts_with('-')) {
        narrate.arg(root().join(RECORDING));
    }
    let status = status(&mut narrate)?;
    if !status.success() {
        bail!("the narration failed ({status})");
    }
    let total = start.elapsed();
    let phases = [
        ("set-up", set_up),
        ("build", built - set_up),
        ("narration", total - built),
        ("together", total),
    ];
    eprintln!(
        "── {}",
        phases.map(|(name, time)| format!("{name} {}", seconds(time))).join(", ")
    );
    Ok(())
}
