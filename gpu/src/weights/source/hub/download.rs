//! One file from the hub into the cache: resumed, checked, and only then given its name.
//!
//! `blobs/ETAG.incomplete` grows, becomes `blobs/ETAG` when it is whole, and `snapshots/COMMIT/FILE` leads there.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::client::{Client, Failure, FileHead, fatal};
use super::{HubProgress, Job};
use crate::error::{Error, Result};
use crate::weights::source::file_error;

/// Attempts in a row that bring nothing before the download gives up.
const MAX_ATTEMPTS: u32 = 5;
const CHUNK_BYTES: usize = 1 << 18;

/// Where a file of the repository goes.
pub struct Place<'a> {
    pub repo_dir: &'a Path,
    pub snapshot: &'a Path,
    pub file: &'a str,
}

/// Brings the file at `path` of the endpoint to its place, unless it is there. `count`: files done, and in all.
///
/// Errors: `File` for the network, the disk, a wrong size or checksum; `Cancelled`.
pub fn fetch(client: &Client, path: &str, place: &Place<'_>, job: &Job, count: (usize, usize)) -> Result<()> {
    let pointer = place.snapshot.join(place.file);
    if pointer.is_file() {
        return Ok(());
    }
    let head = client.head(&job.id, path).map_err(|failure| failure.error)?;
    let blobs = place.repo_dir.join("blobs");
    let blob = blobs.join(&head.etag);
    let parent = pointer.parent().unwrap_or(place.snapshot);
    for dir in [&blobs, parent] {
        std::fs::create_dir_all(dir).map_err(|error| on_disk(dir, &error))?;
    }
    if !blob.is_file() {
        let part = blobs.join(format!("{}.incomplete", head.etag));
        let transfer = Transfer {
            client,
            path,
            job,
            head: &head,
            file: place.file,
            count,
        };
        transfer.run(&part, &blob)?;
    }
    link(&blob, &pointer, place).map_err(|error| on_disk(&pointer, &error))
}

struct Transfer<'a> {
    client: &'a Client,
    path: &'a str,
    job: &'a Job,
    head: &'a FileHead,
    file: &'a str,
    count: (usize, usize),
}

impl Transfer<'_> {
    fn run(&self, part: &Path, blob: &Path) -> Result<()> {
        let disk = |error: std::io::Error| on_disk(part, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(part)
            .map_err(disk)?;
        // Another program that downloads the same file is waited for.
        file.lock().map_err(disk)?;
        if blob.is_file() {
            return Ok(());
        }
        let mut written = self.restart_point(&mut file).map_err(disk)?;
        let mut attempt = 0;
        while let Err(failure) = self.attempt(&mut file, &mut written) {
            let progressed = written.progressed;
            written.progressed = false;
            attempt = if progressed { 1 } else { attempt + 1 };
            if !failure.no_network || attempt >= MAX_ATTEMPTS {
                return Err(failure.error);
            }
            tracing::debug!(file = self.file, done_bytes = written.n_bytes, error = %failure.error, "download goes on");
            std::thread::sleep(self.job.options.retry_delay * (1 << attempt));
            self.tell(written.n_bytes)?;
        }
        self.check(&written, part)?;
        file.sync_all().map_err(disk)?;
        std::fs::rename(part, blob).map_err(disk)
    }

    /// What an earlier attempt left, hashed; all of it is dropped if it is longer than the file.
    fn restart_point(&self, file: &mut File) -> std::io::Result<Written> {
        let mut written = Written::default();
        let size = file.metadata()?.len();
        if self.head.size_bytes.is_none_or(|whole| size > whole) {
            file.set_len(0)?;
            return Ok(written);
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let n = file.read(&mut chunk)?;
            if n == 0 {
                return Ok(written);
            }
            written.add(&chunk[..n]);
        }
    }

    /// Reads from where the file ends until the body does.
    fn attempt(&self, file: &mut File, written: &mut Written) -> std::result::Result<(), Failure> {
        if self.head.size_bytes == Some(written.n_bytes) {
            return Ok(());
        }
        let id = &self.job.id;
        let offset = (written.n_bytes > 0).then_some(written.n_bytes);
        let response = self.client.get(id, self.path, offset)?;
        let disk = |error: std::io::Error| Failure {
            error: self.disk(&error),
            no_network: false,
        };
        if offset.is_some() && !self.resumes(&response, written.n_bytes) {
            // The server sends the file from its start.
            file.set_len(0).map_err(disk)?;
            *written = Written::default();
        }
        file.seek(SeekFrom::Start(written.n_bytes)).map_err(disk)?;
        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let n = match body.read(&mut chunk) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.unreachable(id, &ureq::Error::Io(error))),
            };
            if n == 0 {
                break;
            }
            file.write_all(&chunk[..n]).map_err(disk)?;
            written.add(&chunk[..n]);
            written.progressed = true;
            if self.head.size_bytes.is_some_and(|size| written.n_bytes > size) {
                return Err(fatal(id, format!("{} is longer than the hub says", self.file)));
            }
            self.tell(written.n_bytes).map_err(|error| Failure {
                error,
                no_network: false,
            })?;
        }
        match self.head.size_bytes {
            Some(size) if written.n_bytes < size => Err(Failure {
                error: file_error(id, format!("{} ended after {} of {size} bytes", self.file, written.n_bytes)),
                no_network: true,
            }),
            _ => Ok(()),
        }
    }

    /// Whether the answer goes on at `offset`.
    fn resumes(&self, response: &ureq::http::Response<ureq::Body>, offset: u64) -> bool {
        let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
        response.status().as_u16() == 206 && range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
    }

    /// Large files are named by their sha-256; others by a git hash, of which only the size is checked.
    fn check(&self, written: &Written, part: &Path) -> Result<()> {
        let etag = &self.head.etag;
        let is_sha256 = etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_sha256 {
            return Ok(());
        }
        let found: String = written
            .sha256
            .clone()
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found.eq_ignore_ascii_case(etag) {
            return Ok(());
        }
        // Going on from damaged bytes would fail forever.
        let _ = std::fs::remove_file(part);
        Err(file_error(
            &self.job.id,
            format!(
                "{} arrived damaged: its sha-256 is {found}, expected {etag}; try again",
                self.file
            ),
        ))
    }

    fn tell(&self, done_bytes: u64) -> Result<()> {
        self.job.tell(HubProgress {
            file: self.file.to_owned(),
            done_bytes,
            size_bytes: self.head.size_bytes.unwrap_or(done_bytes),
            files_done: self.count.0,
            n_files: self.count.1,
        })
    }

    fn disk(&self, error: &std::io::Error) -> Error {
        on_disk(&self.job.options.cache_dir, error)
    }
}

/// What is in the file so far.
#[derive(Default)]
struct Written {
    n_bytes: u64,
    sha256: Sha256,
    /// Bytes came since the last failure.
    progressed: bool,
}

impl Written {
    fn add(&mut self, bytes: &[u8]) {
        self.n_bytes += bytes.len() as u64;
        self.sha256.update(bytes);
    }
}

/// Makes `pointer` lead to `blob`: a relative link as the hub's own programs make, else a hard link, else a copy.
fn link(blob: &Path, pointer: &Path, place: &Place<'_>) -> std::io::Result<()> {
    match std::fs::remove_file(pointer) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    {
        // snapshots/COMMIT/FILE is two folders below the repository's, and more if FILE is in a folder.
        let up = "../".repeat(2 + place.file.matches('/').count());
        let name = blob.file_name().unwrap_or_default().to_string_lossy();
        if std::os::unix::fs::symlink(format!("{up}blobs/{name}"), pointer).is_ok() {
            return Ok(());
        }
    }
    #[cfg(not(unix))]
    let _ = place;
    std::fs::hard_link(blob, pointer).or_else(|_| std::fs::copy(blob, pointer).map(|_| ()))
}

fn on_disk(path: &Path, error: &std::io::Error) -> Error {
    file_error(
        path.display().to_string(),
        format!("cannot be written: {error}; set HF_HOME to another place if the disk is full"),
    )
}
