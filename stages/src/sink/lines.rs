//! Writing lines to a file or to standard output, whole at every moment: a line goes out in one piece, at once.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pipeline::packet::{Body, Packet, Text};

use crate::error::{Error, Result};

/// Where lines go.
pub struct Lines {
    /// For errors; `-` is standard output.
    path: PathBuf,
    out: Box<dyn Write + Send>,
}

impl Lines {
    /// Opens a file anew, or standard output if there is no path or it is `-`.
    ///
    /// Errors: [`Error::Write`].
    pub fn open(path: Option<&Path>) -> Result<Self> {
        match path.filter(|path| path.as_os_str() != "-") {
            None => Ok(Self {
                path: PathBuf::from("standard output"),
                out: Box::new(io::stdout()),
            }),
            Some(path) => {
                let file = File::create(path).map_err(|source| Error::Write {
                    path: path.to_owned(),
                    source,
                })?;
                Ok(Self {
                    path: path.to_owned(),
                    out: Box::new(file),
                })
            }
        }
    }

    /// Writes `text` and flushes.
    ///
    /// Errors: [`Error::Write`].
    pub fn write(&mut self, text: &str) -> Result<()> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// The finished text of a packet, if that is what it is.
pub(super) fn finished(packet: Packet) -> Option<Text> {
    match packet.body {
        Body::Text(text) if text.finished.is_some() && !text.thought => Some(text),
        _ => None,
    }
}

/// White space runs as one space, none at the ends: a text that fits on a line.
pub fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The file that a sink writes, for the check that no two write the same.
pub(super) fn written(path: &Option<PathBuf>) -> Vec<PathBuf> {
    path.iter().filter(|path| path.as_os_str() != "-").cloned().collect()
}
