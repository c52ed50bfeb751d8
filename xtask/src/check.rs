//! `cargo xtask check`: what holds on each commit. The parts are functions, since `test` runs some of them too.

use anyhow::Result;

use crate::process::{cargo, step};
use crate::{house, setup, wasm};

/// Formatting, lints, house rules, unit tests, documentation and a wasm check, the quick ones first.
pub fn run() -> Result<()> {
    setup::components()?;
    lint()?;
    step("unit tests", &mut cargo("test --workspace --lib --bins"))?;
    docs()?;
    wasm::run(wasm::Mode::Check)
}

/// Formatting, house rules and lints.
pub fn lint() -> Result<()> {
    step("format", &mut cargo("fmt --all --check"))?;
    house::run()?;
    step(
        "clippy",
        &mut cargo("clippy --workspace --all-targets --features app_web/page -- -D warnings"),
    )
}

/// The documentation of the library crates, whose links and examples must hold.
pub fn docs() -> Result<()> {
    let mut command = cargo("doc --no-deps -p pipeline -p gpu -p sim -p stages --features gpu/wgpu");
    step("docs", command.env("RUSTDOCFLAGS", "-D warnings"))
}
