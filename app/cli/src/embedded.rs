//! Files that travel inside the program (feature `embed`), as `build.rs` found them. Empty without the feature.

use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

/// A file's name and contents.
pub type File = (&'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The sample recording as a folder of frames: unpacked from the program, or where the source tree has it.
pub struct Recording {
    pub folder: PathBuf,
    /// Removes what was unpacked when the run is over.
    _unpacked: Option<TempDir>,
}

impl Recording {
    /// Errors: the temporary folder cannot be written, or there is no recording at all.
    pub fn open() -> io::Result<Self> {
        if RECORDING.is_empty() {
            let found = ["tests/data/recording", "../tests/data/recording"].map(PathBuf::from);
            return match found.into_iter().find(|folder| folder.is_dir()) {
                Some(folder) => Ok(Self { folder, _unpacked: None }),
                None => Err(io::Error::other(
                    "this program was built without the sample recording (feature `embed`); name a picture, a folder or a video",
                )),
            };
        }
        let unpacked = tempfile::Builder::new().prefix("qwglm-recording-").tempdir()?;
        for (name, bytes) in RECORDING {
            std::fs::write(unpacked.path().join(name), bytes)?;
        }
        Ok(Self {
            folder: unpacked.path().to_owned(),
            _unpacked: Some(unpacked),
        })
    }
}
