//! Which GPUs are planned for: bundled profiles by name, this machine's adapter, or a file.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use gpu::engine::wgpu::list_adapters;
use sim::timing::Profile;
use sim::timing::bundled::{self, nearest};

use crate::bench::calibrate;
use crate::failure::usage;

/// The profiles that `--gpu` names.
///
/// Errors: usage, naming near names; a file that is no profile; no adapter here.
pub async fn find(words: &str) -> Result<Vec<Profile>> {
    let mut profiles = Vec::new();
    for word in words.split(',').map(str::trim) {
        match word.to_lowercase().as_str() {
            "all" => profiles.extend_from_slice(bundled::profiles()),
            "here" => profiles.push(here().await?),
            _ if word.ends_with(".toml") => profiles.push(of_file(Path::new(word))?),
            _ => profiles.push(bundled::find(word).cloned().ok_or_else(|| unknown(word))?),
        }
    }
    Ok(profiles)
}

/// The fastest adapter of this machine.
async fn here() -> Result<Profile> {
    let adapters = list_adapters().await;
    let adapter = adapters
        .first()
        .context("there is no GPU adapter here; name one with --gpu")?;
    if let Some(profile) = calibrate::remembered(adapter) {
        return Ok(profile);
    }
    let (profile, by_name) = bundled::of_adapter(adapter);
    if !by_name {
        eprintln!(
            "note: there is no profile of {}; its times are those of {}'s with this adapter's limits",
            adapter.name, profile.key
        );
    }
    Ok(profile)
}

fn of_file(path: &Path) -> Result<Profile> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut profile = Profile::from_toml(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    if profile.key.is_empty() {
        profile.key = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    Ok(profile)
}

fn unknown(word: &str) -> anyhow::Error {
    let keys: Vec<&str> = bundled::profiles().iter().map(|profile| profile.key.as_str()).collect();
    let near = nearest(word, keys.iter().copied());
    let hint = match near.is_empty() {
        true => format!("{}, all, here, or a profile's file (.toml)", keys.join(", ")),
        false => format!("{}?", near.join(" or ")),
    };
    usage(format!("there is no GPU called {word}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gpus_are_names_all_or_files() {
        let keys = async |words: &str| -> Vec<String> {
            let found = find(words).await.unwrap();
            found.into_iter().map(|profile| profile.key).collect()
        };
        assert_eq!(keys("H100, iris-xe").await, ["h100", "iris-xe"]);
        assert_eq!(keys("all").await.len(), bundled::profiles().len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let mut mine = bundled::find("rtx-3060").unwrap().clone();
        mine.key.clear();
        std::fs::write(&path, mine.to_toml().unwrap()).unwrap();
        assert_eq!(keys(&path.display().to_string()).await, ["mine"]);
        std::fs::write(&path, "name = 3").unwrap();
        assert!(find(&path.display().to_string()).await.is_err());
        let error = find("4090").await.unwrap_err();
        assert_eq!(error.to_string(), "there is no GPU called 4090; rtx-4090?");
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}
