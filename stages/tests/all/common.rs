//! Where golden data lies, and how it is read.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of a golden in the tree.
pub fn golden(name: &str) -> PathBuf {
    goldens::folder(name).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The golden folders of a family: the one in the tree, and others where the reference data is at hand.
pub fn folders(family: &str) -> Vec<PathBuf> {
    let mut found = vec![golden(&format!("{family}-s1"))];
    let more = root().join("../shared/reference/goldens").join(format!("{family}-s2"));
    if more.is_dir() {
        found.push(more);
    }
    found
}

pub fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

pub fn json(path: impl AsRef<Path>) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

/// An I64 tensor.
pub fn ints(tensors: &SafeTensors<'_>, name: &str) -> Vec<i64> {
    let data = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data().to_vec();
    data.chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}
