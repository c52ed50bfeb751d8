//! Writing lines to a file or to standard output, whole at every moment: a line goes out in one piece, at once. A sink that is
//! restarted goes on where it was: it keeps how far that is ([`Written`]), and what lies behind that is cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pipeline::error::StageError;
use pipeline::packet::{Body, Packet, Text};

use crate::error::Error;

/// Where lines go.
pub struct Lines {
    /// For errors; `-` is standard output.
    path: PathBuf,
    out: Box<dyn Write + Send>,
    written: Written,
}

/// How far a sink is in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
}

impl Lines {
    /// Opens a file, or standard output if there is no path or it is `-`: anew, or to go on behind what was `written`.
    ///
    /// Errors: [`Error::Write`]; fatal if the file was to be new.
    pub fn open(path: Option<&Path>, written: Option<Written>) -> Result<Self, StageError> {
        let (path, out): (&Path, Box<dyn Write + Send>) = match (path.filter(|path| path.as_os_str() != "-"), written) {
            (None, _) => (Path::new(STDOUT), Box::new(io::stdout())),
            (Some(path), None) => {
                let file = File::create(path).map_err(|error| StageError::fatal(failed(path, error)))?;
                (path, Box::new(file))
            }
            (Some(path), Some(written)) => (path, Box::new(reopened(path, written).map_err(|error| failed(path, error))?)),
        };
        Ok(Self {
            path: path.to_owned(),
            out,
            written: written.unwrap_or_default(),
        })
    }

    /// Writes `text` and flushes.
    ///
    /// Errors: [`Error::Write`]; fatal if the reader of a pipe has left.
    pub fn write(&mut self, text: &str) -> Result<(), StageError> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|error| write_failed(&self.path, error))?;
        self.written.bytes += text.len() as u64;
        Ok(())
    }

    /// Whether a restart can cut off what was not kept: in a file, not on standard output.
    pub fn can_go_back(&self) -> bool {
        self.path.as_os_str() != STDOUT
    }

    /// What is to be kept for a restart.
    pub fn written(&self) -> Written {
        self.written
    }
}

const STDOUT: &str = "standard output";

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}

fn write_failed(path: &Path, error: io::Error) -> StageError {
    match error.kind() {
        ErrorKind::BrokenPipe => StageError::fatal(failed(path, error)),
        _ => failed(path, error).into(),
    }
}

/// A file that was begun; a line that was broken off, or that nobody knows was written, is cut off.
fn reopened(path: &Path, written: Written) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    // Not of a device or a pipe, whose past cannot be changed.
    if file.metadata()?.is_file() {
        file.set_len(written.bytes)?;
        file.seek(SeekFrom::Start(written.bytes))?;
    }
    Ok(file)
}

/// Writes to standard output at once.
///
/// Errors: as [`Lines::write`].
pub(super) fn print(text: &str) -> Result<(), StageError> {
    let mut out = io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| write_failed(Path::new(STDOUT), error))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_that_goes_on_cuts_off_what_it_did_not_keep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, "an older file\n").unwrap();
        let mut lines = Lines::open(Some(&path), None).unwrap();
        lines.write("é\n").unwrap();
        let kept = lines.written();
        assert_eq!(kept, Written { bytes: 3 });
        lines.write("broken o").unwrap();
        let mut again = Lines::open(Some(&path), Some(kept)).unwrap();
        again.write("two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "é\ntwo\n");
        assert_eq!(again.written(), Written { bytes: 7 });
    }

    #[test]
    fn a_file_that_cannot_be_begun_is_fatal_and_one_that_has_gone_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("lines");
        assert!(matches!(Lines::open(Some(&path), None), Err(StageError::Fatal(_))));
        assert!(matches!(
            Lines::open(Some(&path), Some(Written { bytes: 3 })),
            Err(StageError::Failed(_))
        ));
    }
}
