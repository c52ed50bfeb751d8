//! Where voices are: those that the program brings, and files. Each is loaded once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::voice::Voice;
use crate::error::{Error, Result};

/// A voice's files.
#[derive(Clone)]
pub struct VoiceFiles {
    pub onnx: Cow<'static, [u8]>,
    pub json: Cow<'static, [u8]>,
}

/// The voices that a graph's stages may name.
#[derive(Default)]
pub struct Voices {
    known: BTreeMap<String, VoiceFiles>,
    loaded: Mutex<BTreeMap<String, Arc<Voice>>>,
}

impl Voices {
    /// Makes a voice known by a name.
    pub fn add(&mut self, name: impl Into<String>, files: VoiceFiles) {
        self.known.insert(name.into(), files);
    }

    /// Whether `name` is a voice that the program brings, or a file from `base`.
    ///
    /// Errors: [`Error::NoVoice`].
    pub fn check(&self, name: &str, base: &Path) -> Result<()> {
        let is_file = base.join(name).is_file() && json_of(name, base).is_some();
        if self.known.contains_key(name) || is_file {
            return Ok(());
        }
        let mut accepted: Vec<String> = self.known.keys().map(|name| format!("\"{name}\"")).collect();
        accepted.push("a file NAME.onnx with NAME.onnx.json beside it".into());
        Err(Error::NoVoice {
            name: name.to_owned(),
            accepted: format!("there is {}", accepted.join(", ")),
        })
    }

    /// The voice of that name, loaded if it was not yet. Takes up to seconds.
    ///
    /// Errors: [`Error::NoVoice`], [`Error::Read`], those of [`Voice::load`].
    pub fn load(&self, name: &str, base: &Path) -> Result<Arc<Voice>> {
        self.check(name, base)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(voice) = loaded.get(name) {
            return Ok(voice.clone());
        }
        let files = match self.known.get(name) {
            Some(files) => files.clone(),
            None => VoiceFiles {
                onnx: read(&base.join(name))?.into(),
                json: read(&json_of(name, base).unwrap_or_default())?.into(),
            },
        };
        let voice = Arc::new(Voice::load(name, &files.onnx, &files.json)?);
        loaded.insert(name.to_owned(), voice.clone());
        Ok(voice)
    }
}

/// `NAME.onnx.json`, or `NAME.json`.
fn json_of(name: &str, base: &Path) -> Option<std::path::PathBuf> {
    let path = base.join(name);
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        std::path::PathBuf::from(name)
    };
    [beside(".json"), path.with_extension("json")]
        .into_iter()
        .find(|path| path.is_file())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
