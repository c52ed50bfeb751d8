//! Recordings of runs (`.qwr`): beginning one, reading one, and what of it the set-up needs. Not the command `replay`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use pipeline::record::{Follow, Recorder, Script, Start, Tape};

use crate::failure;
use crate::graph_text::GraphText;
use crate::source::absolute;

/// What a run has to do with a recording.
#[derive(Clone)]
pub enum With {
    Nothing,
    /// It is written down; so it calls that second today throughout.
    Recorder {
        recorder: Recorder,
        unix_s: u64,
    },
    /// It follows one. `plays_engines`: the engines of the recording, not those of the configuration.
    Tape {
        tape: Arc<Tape>,
        plays_engines: bool,
    },
}

impl With {
    /// Begins a recording of `text` at `path`, if there is one to begin; `notes` are for whoever replays it.
    ///
    /// Errors: the file cannot be written.
    pub fn recording(path: Option<&Path>, text: &GraphText, notes: &[(&str, String)]) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::Nothing) };
        let failed = || format!("the recording {} cannot be written", path.display());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = Start {
            program: format!("qwglm {}", env!("CARGO_PKG_VERSION")),
            text: text.text(),
            origin: text.origin.clone(),
            base: absolute_base(&text.base),
            unix_s: now.as_secs(),
            seeds: text.seeds(),
            notes: notes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        };
        let file = File::create(path).with_context(failed)?;
        let recorder = Recorder::new(file, &start).with_context(failed)?;
        Ok(Self::Recorder {
            recorder,
            unix_s: start.unix_s,
        })
    }

    pub fn recorder(&self) -> Option<&Recorder> {
        match self {
            Self::Recorder { recorder, .. } => Some(recorder),
            _ => None,
        }
    }

    pub fn tape(&self) -> Option<&Arc<Tape>> {
        match self {
            Self::Tape { tape, .. } => Some(tape),
            _ => None,
        }
    }

    /// The recording whose engines are played.
    pub fn played(&self) -> Option<&Arc<Tape>> {
        match self {
            Self::Tape {
                tape,
                plays_engines: true,
            } => Some(tape),
            _ => None,
        }
    }

    /// What prompts call today, if it is not today.
    pub fn unix_s(&self) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Recorder { unix_s, .. } => Some(*unix_s),
            Self::Tape { tape, .. } => Some(tape.start.unix_s),
        }
    }

    pub fn script(&self) -> Option<Script> {
        let Self::Tape { tape, plays_engines } = self else {
            return None;
        };
        Some(Script {
            tape: tape.clone(),
            follow: if *plays_engines { Follow::All } else { Follow::UntilEngines },
        })
    }

    /// Ends what was begun, after a run that ended so.
    ///
    /// Errors: the run's; else that of a recording that could not be written, or of one that ended before its run.
    pub fn finish<T>(&self, ended: Result<T>) -> Result<T> {
        match self {
            Self::Nothing => ended,
            Self::Recorder { recorder, .. } => {
                let failure = ended.as_ref().err().map(failure::message);
                let written = recorder.finish(failure.as_deref());
                let ended = ended?;
                written?;
                Ok(ended)
            }
            Self::Tape { tape, .. } => {
                let ended = ended?;
                tape.end.error().map_or(Ok(ended), |error| Err(error.into()))
            }
        }
    }
}

/// A text of the program's own has no folder; then relative paths start from the working directory.
fn absolute_base(base: &Path) -> String {
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    absolute(base).to_string_lossy().into_owned()
}

/// Reads a recording.
///
/// Errors: the file cannot be read, is no recording, or ends before its run begins.
pub fn read(path: &Path) -> Result<Tape> {
    let bytes = std::fs::read(path).with_context(|| format!("the recording {} cannot be read", path.display()))?;
    Tape::from_bytes(&bytes).with_context(|| path.display().to_string())
}
