//! Where a model of speech is, and what its ids spell: a folder of transformers', or a `.nemo` archive as it was published.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_channel::Sender;
use gpu::protocol::speech::{SpeechInfo, SpeechOptions};
use gpu::protocol::{GpuHandle, LoadProgress};
use gpu::weights::source::{Folder, Source, Tar, read_text};

use super::pieces::Pieces;
use super::recognise::Ear;
use crate::error::{Error, Result};

/// Largest `tokenizer.model`.
const MAX_TOKENIZER_BYTES: u64 = 16 << 20;

/// A folder with `config.json`, a folder with one `.nemo`, or a `.nemo` itself.
///
/// Errors: [`Error::ModelFile`] if it is none of these; those of the archive.
pub async fn open(path: &Path) -> Result<Arc<dyn Source>> {
    let missing = |message: String| Error::ModelFile {
        model: path.display().to_string(),
        file: "config.json",
        message,
    };
    let archive = if path.is_dir() {
        if path.join("config.json").is_file() {
            return Ok(Arc::new(Folder::open(path)?));
        }
        let mut archives = archives_in(path);
        match (archives.pop(), archives.is_empty()) {
            (Some(archive), true) => archive,
            (Some(_), false) => return Err(missing("is missing, and there are several .nemo files".into())),
            (None, _) => return Err(missing("is missing, and there is no .nemo file".into())),
        }
    } else if path.is_file() {
        path.to_owned()
    } else {
        return Err(missing("there is no such file or folder".into()));
    };
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = Folder::open(folder.unwrap_or(Path::new(".")))?;
    Ok(Arc::new(Tar::open(Arc::new(folder), &name).await?))
}

fn archives_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "nemo"))
        .collect()
}

/// Loads a model onto an engine.
///
/// Errors: those of the engine and of the tokenizer.
pub async fn load(
    engine: &GpuHandle,
    source: Arc<dyn Source>,
    options: SpeechOptions,
    progress: Option<Sender<LoadProgress>>,
) -> Result<Ear> {
    let mut info = engine.load_speech(source.clone(), options, progress).await?;
    let pieces = pieces(&*source, &mut info).await?;
    if pieces.len() < info.blank_id as usize {
        return Err(Error::ModelFile {
            model: info.name,
            file: "tokenizer.model",
            message: format!("has {} pieces, the model {} tokens", pieces.len(), info.blank_id),
        });
    }
    Ok(Ear::new(engine.clone(), info, pieces))
}

/// From the configuration, `tokenizer.model` or `tokenizer.json`.
async fn pieces(source: &dyn Source, info: &mut SpeechInfo) -> Result<Pieces> {
    if !info.vocabulary.is_empty() {
        return Ok(Pieces::new(std::mem::take(&mut info.vocabulary)));
    }
    if let Some(size) = source.size("tokenizer.model").await? {
        let bytes = source
            .read("tokenizer.model", 0, size.min(MAX_TOKENIZER_BYTES) as usize)
            .await?;
        return Pieces::from_sentencepiece(&info.name, &bytes);
    }
    let json = read_text(source, "tokenizer.json").await?;
    let json = json.ok_or_else(|| Error::MissingFile {
        model: info.name.clone(),
        file: "tokenizer.model",
    })?;
    Pieces::from_tokenizer_json(&info.name, &json)
}
