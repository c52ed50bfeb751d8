//! The golden folder of Parakeet passes, and one in which anything that counts was changed does not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use tempfile::TempDir;
use tests::golden::{Scope, compare};

fn original() -> Result<PathBuf> {
    goldens::folder("parakeet-tdt-s1")
}

fn copy() -> Result<TempDir> {
    let copy = TempDir::with_prefix("parakeet-tdt-")?;
    for entry in std::fs::read_dir(original()?)? {
        let entry = entry?;
        std::fs::write(copy.path().join(entry.file_name()), std::fs::read(entry.path())?)?;
    }
    Ok(copy)
}

/// Changes one tensor of a safetensors file; the old bytes are returned.
fn change(path: &Path, tensor: &str) -> Result<Vec<u8>> {
    let before = std::fs::read(path)?;
    let file = SafeTensors::deserialize(&before)?;
    let view = file.tensor(tensor)?;
    let mut data = view.data().to_vec();
    match view.dtype() {
        Dtype::F32 => {
            for bytes in data.as_chunks_mut::<4>().0 {
                *bytes = (f32::from_le_bytes(*bytes) * 1.01).to_le_bytes();
            }
        }
        // A sample more or less is nothing that one hears; half of the loudness is.
        Dtype::I16 => {
            for bytes in data.as_chunks_mut::<2>().0 {
                *bytes = (i16::from_le_bytes(*bytes) / 2).to_le_bytes();
            }
        }
        _ => data[0] ^= 1,
    }
    let views = file.tensors().into_iter().map(|(name, view)| {
        let data = if name == tensor { data.as_slice() } else { view.data() };
        Ok((name, TensorView::new(view.dtype(), view.shape().to_vec(), data)?))
    });
    std::fs::write(path, serialize(views.collect::<Result<Vec<_>>>()?, None)?)?;
    Ok(before)
}

fn passes(folder: &Path) -> bool {
    compare(folder, Scope::SimF32).iter().all(|row| row.ok())
}

#[test]
fn the_golden_folder_passes_on_both_engines() -> Result<()> {
    if tests::twin::gpu_engine().is_none() {
        return Ok(());
    }
    let rows = compare(&original()?, Scope::All);
    let failed: Vec<_> = rows.iter().filter(|row| !row.ok()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // Files and three sounds; two formats on two engines, three cases in f32 and f16 and the guard in f32.
    assert_eq!(rows.len(), 4 + 2 * 2 * (3 + 3 + 1));
    Ok(())
}

#[test]
fn a_changed_tensor_is_found() -> Result<()> {
    let folder = copy()?;
    assert!(passes(folder.path()));
    let mut missed = Vec::new();
    for file in ["case_short", "case_exact", "decode_guard", "model"] {
        let path = folder.path().join(format!("{file}.safetensors"));
        let bytes = std::fs::read(&path)?;
        let names: Vec<String> = SafeTensors::deserialize(&bytes)?
            .names()
            .iter()
            .map(|name| name.to_string())
            .collect();
        // Every eighth weight: all are found by the same comparison of bytes.
        let step = if file == "model" { 8 } else { 1 };
        for name in names.iter().step_by(step) {
            let before = change(&path, name).with_context(|| name.clone())?;
            if passes(folder.path()) {
                missed.push(format!("{file} {name}"));
            }
            std::fs::write(&path, before)?;
        }
    }
    assert!(missed.is_empty(), "unnoticed: {missed:#?}");
    Ok(())
}

#[test]
fn a_changed_file_is_found() -> Result<()> {
    let folder = copy()?;
    let mut missed = Vec::new();
    for (file, from, to) in [
        ("config.json", "\"max_symbols_per_step\": 10", "\"max_symbols_per_step\": 9"),
        ("config.json", "\"conv_kernel_size\": 9", "\"conv_kernel_size\": 7"),
        ("preprocessor_config.json", "0.97", "0.95"),
        ("preprocessor_config.json", "\"win_length\": 400", "\"win_length\": 512"),
        ("meta.json", "\"guards\": 6", "\"guards\": 5"),
        ("meta.json", "\"samples\": 10155", "\"samples\": 10156"),
        ("meta.json", "\"text\": \"orz\"", "\"text\": \"or\""),
        ("meta.json", "\"blank_id\": 128", "\"blank_id\": 0"),
    ] {
        let path = folder.path().join(file);
        let before = std::fs::read_to_string(&path)?;
        assert!(before.contains(from), "{from}");
        std::fs::write(&path, before.replacen(from, to, 1))?;
        if passes(folder.path()) {
            missed.push(format!("{file} {to}"));
        }
        std::fs::write(&path, before)?;
    }
    // A bit in a weight, in a piece of the vocabulary and in the archive's configuration.
    let path = folder.path().join("tiny.nemo");
    let before = std::fs::read(&path)?;
    for at in [before.len() - 100_000, 2000, 4900] {
        let mut bytes = before.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, bytes)?;
        if passes(folder.path()) {
            missed.push(format!("tiny.nemo at {at}"));
        }
    }
    assert!(missed.is_empty(), "unnoticed: {missed:#?}");
    Ok(())
}
