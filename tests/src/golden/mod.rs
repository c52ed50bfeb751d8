//! Compares engines with golden folders: expected values of reference implementations, tensor by tensor.
//! The layout of a folder and the tolerances are those of the goldens' own README.

mod dequantised;
mod folder;
mod forward;
mod media;
mod parakeet;
mod piper;
mod qwen3_vl;
mod qwen_text;
mod stated;
mod table;
mod tiny_gpu;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;

pub use table::{Row, print};

/// What a comparison covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Both engines, every precision.
    All,
    /// Engines of a real and a simulated one, every precision.
    Hybrid,
    /// The simulator in f32: enough to see that a folder is not what the reference wrote.
    SimF32,
}

/// The rows of one folder or archive; what cannot be compared is a failed row.
pub fn compare(golden: &Path, scope: Scope) -> Vec<Row> {
    let name = |path: &Path| path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
    let rows = goldens::opened(golden).and_then(|folder| rows(&folder, &name(&folder), scope));
    rows.unwrap_or_else(|error| vec![Row::failed(&name(golden), "-", "-", "-", format!("{error:#}"))])
}

fn rows(folder: &Path, name: &str, scope: Scope) -> Result<Vec<Row>> {
    if folder.join("tokens.json").exists() || folder.join("chat.json").exists() {
        qwen_text::compare(folder, name)
    } else if folder.join("media.safetensors").exists() {
        qwen3_vl::compare(folder, name, scope)
    } else if folder.join("phonemes.json").exists() {
        piper::compare(folder, name)
    } else if folder.join("tiny.nemo").exists() {
        parakeet::compare(folder, name, scope)
    } else {
        match tiny_gpu::traces(folder) {
            Ok(files) if !files.is_empty() => Ok(tiny_gpu::compare(&files, name)),
            Ok(_) => Err(anyhow::anyhow!(
                "is no golden folder that this program knows (qwen3-vl-s*, qwen-text-s*, parakeet-tdt-s*, piper-s*, tiny-gpu)"
            )),
            Err(error) => Err(error),
        }
    }
}
