//! `cargo xtask demo`: set-up, a release build, and the bundled screen recording narrated in this terminal.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{cargo, released, root, seconds, status, step};
use crate::{setup, vulkan};

const RECORDING: &str = "tests/data/recording";

/// Narrates the bundled recording, or whatever `args` to `qwglm narrate` say instead.
///
/// Prints how long set-up, build and narration took. Errors: a phase failed.
pub fn run(args: &[String]) -> Result<()> {
    let start = Instant::now();
    setup::run(setup::Need::Narrate)?;
    let set_up = start.elapsed();
    step("build qwglm", &mut cargo("build --release --package qwglm"))?;
    let built = start.elapsed();

    let mut narrate = Command::new(released("qwglm")?);
    narrate.arg("narrate").args(args);
    if args.is_empty() {
        narrate.arg(root().join(RECORDING));
        if cfg!(target_os = "linux") && !vulkan::has_device() {
            // A software Vulkan that happens to be here would narrate too, many times slower than the simulator.
            narrate.args(["--engine", "sim"]);
        }
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
