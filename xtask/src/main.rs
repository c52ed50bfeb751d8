//! `cargo xtask …`: the jobs around the code. Each command has a file of its own; this one only picks.
//!
//! Deliberately light, so that it starts fast: no crate of the workspace is a dependency. What needs the engines
//! (`golden`) is a program of package `tests` that xtask builds and runs.

mod check;
mod demo;
mod desktop;
mod e2e;
mod golden;
mod house;
mod process;
mod setup;
mod start;
mod test;
mod train;
mod vulkan;
mod wasm;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask <command>

  demo            set up what is missing, then narrate the bundled screen recording in the terminal
                  (or, with arguments, whatever `qwglm narrate` makes of them)
  desktop         set up what is missing, then build `qwglm` with microphone, speaker and screen
  test            set up what is missing, then everything that must hold: check, all tests on a real or
                  software GPU, goldens, the wasm build
  test --page     that, and the page driven in a real Chromium
  test --long [MINUTES]
                  the tests that take minutes, then the sample recording in a loop for an hour (or so many
                  minutes, from 7): fails when memory or latency are more in the last minute than in the
                  first five
  check           what holds on each commit: fmt, clippy, house rules, unit tests, docs, wasm check
  golden DIR…     compare every engine with golden folders or their archives; exit 1 when a value is out
  golden --pack DIR…
                  make an archive of a folder that a generator wrote, DIR.tar.xz beside it
  setup           only the set-up
  train pocket-vl [FOLDER]
                  how to train the bundled model on a GPU machine; with the folder that came back: check its
                  weights against the engine, put them into the tree, write the card
  wasm            build the library crates for wasm32-unknown-unknown
  start           build the page, serve it on loopback and print its address
  web             build the page into app/web/dist
  e2e [--long] [WORD…]
                  drive the page in a real Chromium: all tests, or those whose name has a word; with --long
                  also those that take minutes
  screenshots     pictures of the page's screens, into target/screenshots
                  (each of the four takes --quick first: at once, but not small and fast)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = args.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    if matches!(command.as_str(), "help" | "-h" | "--help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if !matches!(
        command.as_str(),
        "demo" | "golden" | "test" | "web" | "start" | "e2e" | "screenshots" | "train"
    ) && !rest.is_empty()
    {
        bail!(Usage(format!("`{command}` takes no arguments, found `{}`", rest.join(" "))));
    }
    match command.as_str() {
        "demo" => demo::run(rest)?,
        "desktop" => desktop::run()?,
        "test" => match rest {
            [] => test::run(test::Page::Left)?,
            [page] if page == "--page" => test::run(test::Page::Driven)?,
            [long] if long == "--long" => test::long(None)?,
            [long, minutes] if long == "--long" => test::long(Some(minutes))?,
            _ => bail!(Usage(format!(
                "`test` takes --page or --long [MINUTES], found `{}`",
                rest.join(" ")
            ))),
        },
        "check" => check::run()?,
        "golden" => return golden::run(rest),
        "setup" => setup::run(setup::Need::Everything)?,
        "train" => train::run(rest)?,
        "wasm" => wasm::run(wasm::Mode::Build)?,
        "web" => web::run(quick(command, rest)?, &web::Hosts::configured())?,
        "start" => start::run(quick(command, rest)?)?,
        "screenshots" => e2e::screenshots(quick(command, rest)?)?,
        "e2e" => match rest {
            [first, words @ ..] if first == QUICK => e2e::run(wasm::Optimised::No, e2e::Program::Build, words)?,
            words => e2e::run(wasm::Optimised::Yes, e2e::Program::Build, words)?,
        },
        other => bail!(Usage(format!("no command `{other}`; `cargo xtask help` lists them"))),
    }
    Ok(ExitCode::SUCCESS)
}

const QUICK: &str = "--quick";

fn quick(command: &str, rest: &[String]) -> Result<wasm::Optimised> {
    match rest {
        [] => Ok(wasm::Optimised::Yes),
        [quick] if quick == QUICK => Ok(wasm::Optimised::No),
        _ => bail!(Usage(format!("`{command}` takes {QUICK}, found `{}`", rest.join(" ")))),
    }
}

/// The command line was wrong: exit code 2.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
