//! Opening a GPU with the algorithms that were found best on it: chosen at the first start, remembered in the cache folder
//! by adapter, driver and this program's kernels. How they are chosen is `gpu::engine::choose`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use gpu::engine::choose::{Choice, choose, key};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::engine::{Adapter, Engine};
use gpu::plan::Variants;
use gpu::{Error, Result};
use pipeline::time::Clock;
use serde::{Deserialize, Serialize};

/// Whether what is remembered counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    Remembered,
    /// Measures anew, and remembers that.
    Anew,
}

/// A file of the cache folder.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: String,
    choice: Choice,
}

/// Opens the adapter and chooses its algorithms, or takes those that are remembered.
///
/// Errors: those of the engine; an adapter that computes nothing right.
pub async fn open(adapter: AdapterChoice, recall: Recall) -> Result<(WgpuEngine, Choice)> {
    let mut engine = WgpuEngine::new(adapter.clone()).await?;
    let folder = cache_folder().map(|folder| folder.join("algorithms"));
    let remembered = match (&folder, recall) {
        (Some(folder), Recall::Remembered) => remembered(folder, engine.adapter()),
        _ => None,
    };
    if let Some((choice, variants)) = remembered {
        engine.set_variants(variants);
        return Ok((engine, choice));
    }
    if !engine.adapter().software {
        eprintln!(
            "note: finding out which algorithms are best on {}, once",
            engine.adapter().name
        );
    }
    let choice = match choose(&mut engine, &Clock::new()).await {
        Ok(choice) => choice,
        Err(Error::DeviceLost { message }) => {
            // A candidate that takes the device with it must not be met again.
            tracing::warn!(
                message,
                "the device was lost while algorithms were tried; plain ones are used"
            );
            drop(engine);
            engine = WgpuEngine::new(adapter).await?;
            engine.set_variants(Variants::plain(engine.adapter()));
            Choice::of(engine.variants())
        }
        Err(error) => return Err(error),
    };
    // There is nothing to remember of an adapter that nothing was tried on, and a folder that cannot be written is no error.
    if let Some(folder) = folder.filter(|_| !engine.adapter().software)
        && let Err(error) = remember(&folder, engine.adapter(), &choice)
    {
        tracing::warn!(%error, folder = %folder.display(), "the choice of algorithms is not remembered");
    }
    Ok((engine, choice))
}

fn remembered(folder: &Path, adapter: &Adapter) -> Option<(Choice, Variants)> {
    let key = key(adapter);
    let text = std::fs::read_to_string(file(folder, &key)).ok()?;
    let entry: Entry = serde_json::from_str(&text).ok()?;
    let variants = entry.choice.variants(adapter)?;
    (entry.key == key).then_some((entry.choice, variants))
}

fn remember(folder: &Path, adapter: &Adapter, choice: &Choice) -> std::io::Result<()> {
    let key = key(adapter);
    let path = file(folder, &key);
    let choice = choice.clone();
    let text = serde_json::to_string_pretty(&Entry { key, choice })?;
    std::fs::create_dir_all(folder)?;
    // Whole or not at all, whoever else starts now.
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, &path)
}

/// The key stands in the file too: two keys of one hash are told apart.
pub fn file(folder: &Path, key: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    folder.join(format!("{:016x}.json", hasher.finish()))
}

/// The folder for what this program can make anew, as the platform prescribes, if it can be told.
pub fn cache_folder() -> Option<PathBuf> {
    let folder = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let parent = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    parent.map(|parent| parent.join("qwglm"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::{Kernels, SimEngine};

    #[test]
    fn a_choice_is_remembered_for_its_adapter_and_driver_alone() {
        let folder = tempfile::tempdir().unwrap();
        let simulator = SimEngine::new(Kernels::Fast);
        let adapter = Adapter {
            software: false,
            ..simulator.adapter().clone()
        };
        let choice = Choice::promised(&adapter);
        assert!(remembered(folder.path(), &adapter).is_none());
        let inside = folder.path().join("algorithms");
        remember(&inside, &adapter, &choice).unwrap();
        let found = remembered(&inside, &adapter);
        assert_eq!(found, Some((choice, Variants::of(&adapter))));
        let updated = Adapter {
            driver: "next".into(),
            ..adapter.clone()
        };
        assert!(remembered(&inside, &updated).is_none());
        for entry in std::fs::read_dir(&inside).unwrap() {
            std::fs::write(entry.unwrap().path(), "{ half").unwrap();
        }
        assert!(remembered(&inside, &adapter).is_none(), "a broken file is as none");
    }
}
