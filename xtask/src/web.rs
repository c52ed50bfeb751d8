//! `cargo xtask web`: the page, built into `app/web/dist`, ready to be served as it lies there.

mod assemble;
pub mod serve;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{cargo, find, output, root, step};
use crate::wasm::{self, Optimised};

/// Cloudflare Pages refuses larger files.
const MAX_ASSET_BYTES: u64 = 25 << 20;
/// What the page's programs should weigh together as they travel; above it is a warning.
const MAX_WASM_BYTES: u64 = 3 << 20;
/// The page's own program, and its worker's.
const PROGRAMS: [&str; 2] = ["page", "engine"];
/// Where models come from that do not travel with the page, in order, unless `QWGLM_MODEL_HOSTS` (with spaces between) has others.
const MODEL_HOSTS: &str = "https://huggingface.co";
/// Where those hosts send on to, unless `QWGLM_MODEL_STORES` has others.
const MODEL_STORES: &str = "https://*.hf.co https://*.huggingface.co";

/// The other machines that the page may ask: `connect-src` of its rules is they and the page's own origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// That have models, in the order in which they are asked.
    pub models: Vec<String>,
    /// To which those send on.
    pub stores: Vec<String>,
}

impl Hosts {
    /// As the environment has them.
    pub fn configured() -> Self {
        let words = |name, otherwise: &str| {
            let text = std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
            text.split_whitespace().map(str::to_owned).collect()
        };
        Self {
            models: words("QWGLM_MODEL_HOSTS", MODEL_HOSTS),
            stores: words("QWGLM_MODEL_STORES", MODEL_STORES),
        }
    }

    fn connect_src(&self) -> String {
        let own = ["'self'".to_owned()];
        let all: Vec<&str> = own
            .iter()
            .chain(&self.models)
            .chain(&self.stores)
            .map(String::as_str)
            .collect();
        all.join(" ")
    }
}

/// Where the page lies once it is built.
pub fn dist() -> PathBuf {
    root().join("app/web/dist")
}

/// Builds the page.
///
/// Errors: what fails in the build; an asset that the host would refuse; programs that grew too large.
pub fn run(optimised: Optimised, hosts: &Hosts) -> Result<()> {
    let built = wasm::programs("app_web", &PROGRAMS, "page", optimised)?;
    let glue = root().join("target/wasm/glue");
    remake(&glue)?;
    for program in &built {
        let mut bindgen = cargo("run --quiet --package xtask_bindgen --");
        step("web glue", bindgen.arg(program).arg(&glue))?;
    }
    let dist = dist();
    remake(&dist)?;
    assemble::assemble(&glue, &dist, hosts)?;
    let sizes = sizes(&dist)?;
    for (name, size_bytes) in &sizes {
        anyhow::ensure!(
            optimised == Optimised::No || *size_bytes <= MAX_ASSET_BYTES,
            "{name} has {size_bytes} bytes, the host takes {MAX_ASSET_BYTES}"
        );
    }
    report(&dist, &sizes, optimised)?;
    eprintln!("── the page is in app/web/dist");
    Ok(())
}

/// An empty folder.
fn remake(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Says what travels, and whether the programs are above what is aimed at, where a compressor is here.
fn report(dist: &Path, sizes: &[(String, u64)], optimised: Optimised) -> Result<()> {
    let mut brotli_bytes = 0;
    for (name, size_bytes) in sizes.iter().filter(|(name, _)| name.ends_with(".wasm")) {
        let packed = brotli(&dist.join(name));
        let words = packed.map_or("brotli unknown: no node here".to_owned(), |packed| format!("brotli {packed}"));
        eprintln!("   {size_bytes:>9} {name} ({words})");
        brotli_bytes += packed.unwrap_or(0);
    }
    let others: u64 = sizes
        .iter()
        .filter(|(name, _)| !name.ends_with(".wasm"))
        .map(|(_, bytes)| bytes)
        .sum();
    eprintln!("   {others:>9} in {} other files", sizes.len());
    if optimised == Optimised::Yes && brotli_bytes > MAX_WASM_BYTES {
        eprintln!("warning: the page's programs have {brotli_bytes} bytes as they travel, {MAX_WASM_BYTES} are aimed at");
    }
    Ok(())
}

/// The size of a file as Cloudflare would send it.
fn brotli(file: &Path) -> Option<u64> {
    const PROGRAM: &str = "const z = require('zlib'); \
        console.log(z.brotliCompressSync(require('fs').readFileSync(process.argv[1]), \
        { params: { [z.constants.BROTLI_PARAM_QUALITY]: 9 } }).length)";
    let node = find("node")?;
    output(Command::new(node).args(["-e", PROGRAM]).arg(file))?.parse().ok()
}

/// The files of a folder and those below with their sizes, by path.
fn sizes(folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.metadata()?.is_dir() {
            let below = self::sizes(&entry.path())?;
            sizes.extend(below.into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            sizes.push((name, entry.metadata()?.len()));
        }
    }
    sizes.sort();
    Ok(sizes)
}
