//! `cargo xtask test`: set-up, then everything that must hold. What `.ci/run` calls.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{cargo, released, root, seconds, step};
use crate::{check, e2e, golden, setup, wasm};

/// Whether the page is driven in a browser as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Driven,
    Left,
}

/// Runs all checks and all tests; stops at the first step that fails.
///
/// A GPU test without an adapter fails here (`REQUIRE_GPU=1`) where elsewhere it says that it was skipped.
pub fn run(page: Page) -> Result<()> {
    let start = Instant::now();
    setup::run(setup::Need::Everything)?;
    check::lint()?;
    check::docs()?;
    step("tests", cargo("test --workspace --no-fail-fast").env("REQUIRE_GPU", "1"))?;
    let folders = golden_folders();
    if folders.is_empty() {
        bail!("no goldens under tests/golden");
    }
    if !golden::compare(&folders)?.success() {
        bail!("a golden value is out; the table is above");
    }
    wasm::run(wasm::Mode::Build)?;
    if page == Page::Driven {
        e2e::run(wasm::Optimised::No, e2e::Program::Built, &[])?;
    }
    eprintln!("── everything holds, after {}", seconds(start.elapsed()));
    Ok(())
}

/// Tests that take minutes, and the soak: an hour of the sample recording, or so many minutes. Not for CI.
///
/// Errors: a test failed; memory or latency grew.
pub fn long(minutes: Option<&str>) -> Result<()> {
    setup::run(setup::Need::Narrate)?;
    step(
        "tests that take minutes",
        &mut cargo("test --package tests --test system -- --ignored"),
    )?;
    step(
        "build qwglm",
        &mut cargo("build --release --package qwglm --features counted"),
    )?;
    let mut soak = Command::new(released("qwglm")?);
    soak.args(["bench", "soak", "--minutes", minutes.unwrap_or("60")]);
    step("soak", &mut soak)
}

/// The goldens in the tree, folders or archives, by name.
fn golden_folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/golden")).into_iter().flatten().flatten();
    let is_golden = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|ending| ending == "xz");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_golden).collect();
    folders.sort();
    folders
}
