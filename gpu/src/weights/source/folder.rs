//! A checkpoint in a folder on disk. In the tab, where there are no folders, every call reports that.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use pipeline::spawn;

use super::{Source, SourceFuture, check_file_name, file_error};
use crate::error::Result;

/// The files of one folder; names that lead out of it are refused. Links inside it are followed, because the hub's cache
/// is made of them.
#[derive(Clone, Debug)]
pub struct Folder {
    name: String,
    path: PathBuf,
}

impl Folder {
    /// Errors: `File` if `path` is not a readable folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let name = path.display().to_string();
        let entries = std::fs::read_dir(&path);
        match entries {
            Ok(_) => Ok(Self { name, path }),
            Err(error) => Err(file_error(name, format!("cannot be read as a model's folder: {error}"))),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, file: &str) -> Result<PathBuf> {
        check_file_name(file)?;
        Ok(self.path.join(file))
    }
}

impl Source for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>> {
        Box::pin(async move {
            let path = self.file(file)?;
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
                Ok(_) => Err(file_error(path.display().to_string(), "is not a file")),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(file_error(path.display().to_string(), error.to_string())),
            }
        })
    }

    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let path = self.file(file)?;
            spawn::blocking(move || read_range(&path, offset, len)).await
        })
    }
}

/// Bytes `offset .. offset + len`; memory is taken as the bytes arrive, so a lying length costs nothing.
fn read_range(path: &Path, offset: u64, len: usize) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| file_error(path.display().to_string(), error.to_string());
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if offset.checked_add(len as u64).is_none_or(|end| end > size) {
        return Err(file_error(
            path.display().to_string(),
            format!("is truncated: bytes {offset} to {offset} + {len} were asked for, it has {size}"),
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::with_capacity(len);
    file.take(len as u64).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() < len {
        return Err(file_error(
            path.display().to_string(),
            "was cut short while it was being read",
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn reads_ranges_and_knows_what_is_not_there() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.bin"), b"0123456789").expect("written");
        let folder = Folder::open(dir.path()).expect("opens");
        assert_eq!(block_on(folder.size("a.bin")).expect("size"), Some(10));
        assert_eq!(block_on(folder.size("b.bin")).expect("size"), None);
        assert_eq!(block_on(folder.read("a.bin", 3, 4)).expect("read"), b"3456");
        assert_eq!(block_on(folder.read("a.bin", 10, 0)).expect("read"), b"");
        for (offset, len) in [(7, 4), (11, 0), (u64::MAX, 2), (0, usize::MAX)] {
            let error = block_on(folder.read("a.bin", offset, len)).expect_err("too far");
            assert!(error.to_string().contains("truncated"), "{error}");
        }
    }

    #[test]
    fn refuses_names_that_lead_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).expect("made");
        std::fs::write(dir.path().join("secret"), b"x").expect("written");
        let folder = Folder::open(&inner).expect("opens");
        let absolute = dir.path().join("secret").display().to_string();
        for name in [
            "../secret",
            "a/../../secret",
            "..",
            ".",
            "",
            "a//b",
            "..\\secret",
            "C:secret",
            &absolute,
        ] {
            let error = block_on(folder.read(name, 0, 1)).expect_err("refused");
            assert!(
                error.to_string().contains("inside the checkpoint's folder"),
                "{name}: {error}"
            );
            assert!(block_on(folder.size(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Folder::open("/no/such/folder").expect_err("none");
        assert!(error.to_string().starts_with("/no/such/folder: "), "{error}");
    }
}
