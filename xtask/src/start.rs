//! `cargo xtask start`: the page, built and served on loopback.

use std::thread;

use anyhow::Result;

use crate::wasm::Optimised;
use crate::web::{self, serve};

/// Where it is served, if nothing else is there.
const PORT: u16 = 8787;

/// Builds the page, serves it and prints its address; ends with Ctrl-C.
///
/// Errors: the build fails; no port is free.
pub fn run(optimised: Optimised) -> Result<()> {
    web::run(optimised, &web::Hosts::configured())?;
    let address = serve::start(&web::dist(), PORT).or_else(|_| serve::start(&web::dist(), 0))?;
    eprintln!("── open this in Chrome, Edge or Safari; Ctrl-C ends it:");
    println!("{address}");
    loop {
        thread::park();
    }
}
