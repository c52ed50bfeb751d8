//! The goldens in the tree pass, and a folder in which anything was changed does not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gpu::engine::Engine;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use tempfile::TempDir;
use tests::golden::{Scope, compare};

fn original() -> Result<PathBuf> {
    goldens::folder("qwen3-vl-s1")
}

/// A copy of the folder to change.
fn copy() -> Result<TempDir> {
    let copy = TempDir::with_prefix("qwen3-vl-")?;
    for entry in std::fs::read_dir(original()?)? {
        let entry = entry?;
        std::fs::write(copy.path().join(entry.file_name()), std::fs::read(entry.path())?)?;
    }
    Ok(copy)
}

/// Rewrites one tensor of a safetensors file, puts the old bytes back after `check`.
fn with_changed(
    folder: &Path,
    file: &str,
    tensor: &str,
    change: impl Fn(Dtype, &mut Vec<u8>),
    check: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let path = folder.join(file);
    let before = std::fs::read(&path)?;
    let read = SafeTensors::deserialize(&before)?;
    let mut data = read.tensor(tensor)?.data().to_vec();
    change(read.tensor(tensor)?.dtype(), &mut data);
    let views = read.tensors().into_iter().map(|(name, view)| {
        let data = if name == tensor { data.as_slice() } else { view.data() };
        Ok((name, TensorView::new(view.dtype(), view.shape().to_vec(), data)?))
    });
    std::fs::write(&path, serialize(views.collect::<Result<Vec<_>>>()?, None)?)?;
    let checked = check();
    std::fs::write(&path, before)?;
    checked
}

fn names(folder: &Path, file: &str, dtype: Option<Dtype>) -> Result<Vec<String>> {
    let bytes = std::fs::read(folder.join(file))?;
    let read = SafeTensors::deserialize(&bytes)?;
    let wanted = read
        .tensors()
        .into_iter()
        .filter(|(_, view)| dtype.is_none_or(|dtype| view.dtype() == dtype));
    Ok(wanted.map(|(name, _)| name).collect())
}

/// Turns the elements round by one; a tensor of equal elements would stay as it is.
fn rotate(dtype: Dtype, data: &mut [u8]) {
    let element = match dtype {
        Dtype::U8 => 1,
        Dtype::BF16 => 2,
        Dtype::F32 => 4,
        _ => 8,
    };
    data.rotate_right(element);
}

const CASES: [&str; 5] = ["text", "image", "two_images", "video", "mixed"];

fn must_fail(folder: &Path, what: &str, missed: &mut Vec<String>) {
    if compare(folder, Scope::SimF32).iter().all(|row| row.ok()) {
        missed.push(what.to_owned());
    }
}

#[test]
fn the_goldens_in_the_tree_pass_on_both_engines() -> Result<()> {
    let Some(engine) = tests::twin::gpu_engine() else {
        return Ok(());
    };
    // On a CPU's adapter also with the kernels by which GPUs decode.
    let engines = if engine.adapter().software { 3 } else { 2 };
    let rows = compare(&original()?, Scope::All);
    let failed: Vec<_> = rows.iter().filter(|row| !row.ok()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(rows.len(), 1 + 5 + engines * 4 * 5);
    Ok(())
}

#[test]
fn a_changed_integer_is_found() -> Result<()> {
    let folder = copy()?;
    let mut missed = Vec::new();
    let files = CASES
        .iter()
        .map(|case| format!("case_{case}.safetensors"))
        .chain(["media.safetensors".into()]);
    for file in files {
        for name in names(folder.path(), &file, Some(Dtype::I64))? {
            let change = |_, data: &mut Vec<u8>| data[0] ^= 1;
            let check = || {
                must_fail(folder.path(), &format!("{file} {name}"), &mut missed);
                Ok(())
            };
            with_changed(folder.path(), &file, &name, change, check)?;
        }
    }
    let meta = std::fs::read_to_string(original()?.join("meta.json"))?;
    for (from, to) in [
        ("\"rope_delta\": -3", "\"rope_delta\": -4"),
        ("\"tied\": true", "\"tied\": false"),
        ("1.375", "1.25"),
    ] {
        std::fs::write(folder.path().join("meta.json"), meta.replacen(from, to, 1))?;
        assert!(meta.contains(from), "{from}");
        must_fail(folder.path(), to, &mut missed);
    }
    assert!(missed.is_empty(), "unnoticed: {missed:#?}");
    Ok(())
}

#[test]
fn a_scaled_expectation_is_found() -> Result<()> {
    let folder = copy()?;
    let mut missed = Vec::new();
    for case in CASES {
        let file = format!("case_{case}.safetensors");
        for name in names(folder.path(), &file, Some(Dtype::F32))? {
            let scale = |_, data: &mut Vec<u8>| {
                for bytes in data.as_chunks_mut::<4>().0 {
                    *bytes = (f32::from_le_bytes(*bytes) * 1.01).to_le_bytes();
                }
            };
            let check = || {
                must_fail(folder.path(), &format!("{case} {name}"), &mut missed);
                Ok(())
            };
            with_changed(folder.path(), &file, &name, scale, check)?;
        }
    }
    assert!(missed.is_empty(), "unnoticed: {missed:#?}");
    Ok(())
}

#[test]
fn a_permuted_weight_or_input_is_found() -> Result<()> {
    let folder = copy()?;
    let mut missed = Vec::new();
    for file in ["model.safetensors", "media.safetensors"] {
        for name in names(folder.path(), file, None)? {
            let change = |dtype, data: &mut Vec<u8>| rotate(dtype, data);
            let check = || {
                must_fail(folder.path(), &format!("{file} {name}"), &mut missed);
                Ok(())
            };
            with_changed(folder.path(), file, &name, change, check).with_context(|| name.clone())?;
        }
    }
    assert!(missed.is_empty(), "unnoticed: {missed:#?}");
    Ok(())
}
