//! Golden folders lie in the tree as archives, `tests/golden/NAME.tar.xz`: here they become folders again, byte for byte, and
//! folders archives. When a generator wrote `tests/golden/NAME` anew, `cargo xtask golden --pack tests/golden/NAME` makes its archive.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use lzma_rust2::{LzmaOptions, XzOptions, XzReader, XzWriter};
use tar::{Archive, Builder, Header};
use tempfile::TempDir;

const ENDING: &str = ".tar.xz";

/// Archives that were opened in this process, and their folders.
static OPENED: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());

/// The folder of the golden `name` in the tree, for instance `qwen3-vl-s1`.
///
/// Errors: as [`opened`].
pub fn folder(name: &str) -> Result<PathBuf> {
    opened(&root().join("tests/golden").join(name))
}

/// The repository's root.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// A folder as it is. Of an archive, which may be named without its ending, the folder that it holds: it is unpacked below
/// `target` once, and held to the archive's bytes in each process.
///
/// Errors: there is no such folder or archive, the archive is damaged, or what was unpacked of it was changed since.
pub fn opened(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let archive = if is_archive(path) {
        path.to_owned()
    } else {
        with_ending(path)
    };
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = opened.get(&archive) {
        return Ok(folder.clone());
    }
    let folder = unpacked(&archive).with_context(|| format!("{} cannot be opened", archive.display()))?;
    opened.insert(archive, folder.clone());
    Ok(folder)
}

/// Whether a file's name says that it is an archive.
fn is_archive(path: &Path) -> bool {
    name(path).ends_with(ENDING)
}

fn name(path: &Path) -> String {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
}

fn with_ending(path: &Path) -> PathBuf {
    path.with_file_name(name(path) + ENDING)
}

fn unpacked(archive: &Path) -> Result<PathBuf> {
    let packed = fs::read(archive)?;
    let mut hasher = DefaultHasher::new();
    packed.hash(&mut hasher);
    let all = root().join("target/goldens");
    let home = all.join(format!("{:016x}", hasher.finish()));
    let mut bytes = Vec::new();
    XzReader::new(&packed[..], false).read_to_end(&mut bytes)?;
    if !home.is_dir() {
        fs::create_dir_all(&all)?;
        let fresh = TempDir::new_in(&all)?;
        Archive::new(&bytes[..]).unpack(fresh.path())?;
        let moved = fs::rename(fresh.path(), &home);
        // Another process may have been first.
        if !home.is_dir() {
            moved?;
        }
    }
    for entry in Archive::new(&bytes[..]).entries()? {
        let mut entry = entry?;
        let path = home.join(entry.path()?);
        let mut expected = Vec::new();
        entry.read_to_end(&mut expected)?;
        let found = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        ensure!(found == expected, "{} was changed: remove {}", path.display(), home.display());
    }
    let folder = home.join(name(archive).trim_end_matches(ENDING));
    ensure!(folder.is_dir(), "holds no folder of its name");
    Ok(folder)
}

/// Packs a folder into an archive beside it, the same bytes from the same files; the archive's path is returned.
///
/// Errors: the folder cannot be read, or the archive written.
pub fn pack(folder: &Path) -> Result<PathBuf> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let archive = with_ending(&folder);
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    if files.is_empty() {
        bail!("{} holds no file", folder.display());
    }
    files.sort();
    // Its window is wider than any folder. Most of it is numbers of four bytes.
    let mut options = XzOptions::with_preset(9);
    options.lzma_options = LzmaOptions {
        lc: 2,
        lp: 2,
        nice_len: LzmaOptions::NICE_LEN_MAX,
        ..options.lzma_options
    };
    let mut tar = Builder::new(XzWriter::new(File::create(&archive)?, options)?);
    for path in files {
        let bytes = fs::read(&path)?;
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let inside = path.strip_prefix(folder.parent().unwrap_or(&folder))?;
        tar.append_data(&mut header, inside, &bytes[..])?;
    }
    tar.into_inner()?.finish()?.sync_all()?;
    Ok(archive)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_was_packed_comes_back_byte_for_byte_and_a_change_is_found() {
        let home = TempDir::new().unwrap();
        let original = home.path().join("some-s1");
        let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        write(&original, "a.bin", &noise);
        write(&original, "deep/b.json", b"{\r\n}");
        write(&original, "empty", b"");
        let archive = pack(&original).unwrap();
        let first = fs::read(&archive).unwrap();
        assert_eq!(first, fs::read(pack(&original).unwrap()).unwrap());
        assert_eq!(opened(&original).unwrap(), original, "a folder is taken as it is");
        fs::rename(&original, home.path().join("aside")).unwrap();
        let folder = opened(&archive).unwrap();
        assert_eq!(opened(&original).unwrap(), folder, "the ending may be left out");
        let mut files = Vec::new();
        collect(&folder, &mut files).unwrap();
        assert_eq!((files.len(), folder.file_name()), (3, Some(OsStr::new("some-s1"))));
        for (file, bytes) in [("a.bin", &noise[..]), ("deep/b.json", b"{\r\n}"), ("empty", b"")] {
            assert_eq!(fs::read(folder.join(file)).unwrap(), bytes, "{file}");
        }
        write(&folder, "deep/b.json", b"{}");
        let error = unpacked(&archive).unwrap_err().to_string();
        assert!(error.contains("was changed"), "{error}");
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
        let (before, after) = first.split_at(first.len() / 2);
        for damaged in [before, &[before, &[after[0] ^ 1], &after[1..]].concat()] {
            fs::write(&archive, damaged).unwrap();
            assert!(unpacked(&archive).is_err());
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = format!("{:#}", folder("none-s1").unwrap_err());
        assert!(error.contains("none-s1.tar.xz cannot be opened: "), "{error}");
    }
}
