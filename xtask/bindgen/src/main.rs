//! `xtask_bindgen IN.wasm OUT_FOLDER`: the JavaScript module that loads a wasm program, and the program as that wants it.
//!
//! A program of its own, since `xtask` is to start fast and this library is large. Its version is the workspace's
//! `wasm-bindgen`, as it must be.

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = args.as_slice() else {
        bail!("usage: xtask_bindgen IN.wasm OUT_FOLDER");
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(input)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(false);
    bindgen
        .generate(output)
        .with_context(|| format!("cannot make the glue of {input} in {output}"))
}
