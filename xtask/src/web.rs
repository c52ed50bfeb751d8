//! `cargo xtask web`: the page, built into `app/web/dist`, ready to be served as it lies there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::process::{cargo, root, step};
use crate::wasm;

/// Cloudflare Pages refuses larger files.
const MAX_ASSET_BYTES: u64 = 25 << 20;

/// Builds the page.
///
/// Errors: what fails in the build; an asset that the host would refuse.
pub fn run() -> Result<()> {
    let program = wasm::program("app_web")?;
    let dist = root().join("app/web/dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("cannot empty {}", dist.display()))?;
    }
    fs::create_dir_all(&dist).with_context(|| format!("cannot make {}", dist.display()))?;
    let mut bindgen = cargo("run --quiet --package xtask_bindgen --");
    step("web glue", bindgen.arg(&program).arg(&dist))?;
    copy(&root().join("app/web/public"), &dist)?;
    for (name, size_bytes) in sizes(&dist)? {
        anyhow::ensure!(
            size_bytes <= MAX_ASSET_BYTES,
            "{name} has {size_bytes} bytes, the host takes {MAX_ASSET_BYTES}"
        );
        eprintln!("   {:>9} {name}", size_bytes);
    }
    eprintln!("── the page is in app/web/dist");
    Ok(())
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// The files of a folder with their sizes, by name.
fn sizes(folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sizes.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
    }
    sizes.sort();
    Ok(sizes)
}
