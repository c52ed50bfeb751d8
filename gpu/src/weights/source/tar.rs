//! The members of an uncompressed tar (NVIDIA's `.nemo`) as the files of a checkpoint, read in place by ranges.
//! Source of the layout: POSIX.1-2001 `pax`, and GNU's long names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Source, SourceFuture, file_error};
use crate::error::{Error, Result};

const BLOCK: u64 = 512;
/// Headers that are read before an archive is refused: a `.nemo` has about ten members.
const MAX_HEADERS: usize = 4096;
/// Longest extended header or long name.
const MAX_EXTENDED_BYTES: u64 = 1 << 16;

/// See the file's head. Members are found by their base names, since archives differ in folders.
pub struct Tar {
    inner: Arc<dyn Source>,
    file: String,
    name: String,
    /// Offset in the archive, and size.
    members: BTreeMap<String, (u64, u64)>,
}

/// What a header says, or what one before it said for it.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    size: Option<u64>,
}

impl Tar {
    /// Reads the headers of `file`, a tar in `inner`.
    ///
    /// Errors: `File` if it is missing, compressed, truncated or no tar, or if two members have one base name.
    pub async fn open(inner: Arc<dyn Source>, file: &str) -> Result<Self> {
        let size = inner
            .size(file)
            .await?
            .ok_or_else(|| file_error(file, format!("is missing in {}", inner.name())))?;
        let mut tar = Self {
            name: format!("{}/{file}", inner.name()),
            file: file.to_owned(),
            members: BTreeMap::new(),
            inner,
        };
        tar.read_headers(size).await?;
        Ok(tar)
    }

    /// Base names of all members, in order.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    async fn read_headers(&mut self, size: u64) -> Result<()> {
        let (mut at, mut extended) = (0, Extended::default());
        for _ in 0..MAX_HEADERS {
            if at == size && !self.members.is_empty() {
                return Ok(());
            }
            let len = BLOCK.min(size.saturating_sub(at)) as usize;
            let header = self.inner.read(&self.file, at, len).await?;
            if at == 0 && header.starts_with(&[0x1f, 0x8b]) {
                return Err(
                    self.fail("is compressed by gzip; unpack it once (`gzip -d`), so that its tensors can be read in place")
                );
            }
            let Some(header) = header.first_chunk::<512>() else {
                return Err(self.fail(format!("is truncated: {len} bytes at {at}, where a tar header has {BLOCK}")));
            };
            if header.iter().all(|&byte| byte == 0) {
                return Ok(());
            }
            self.check_sum(header, at)?;
            let stated = self.number(&header[124..136], at)?;
            let bytes = extended.size.unwrap_or(stated);
            let start = at + BLOCK;
            let end = start.checked_add(bytes).filter(|&end| end <= size);
            let Some(end) = end else {
                return Err(self.fail(format!(
                    "is truncated: the member at {at} has {bytes} bytes, the archive {size}"
                )));
            };
            match header[156] {
                b'0' | b'7' | 0 => {
                    let path = extended.path.take().unwrap_or_else(|| text(&header[..100]));
                    extended = Extended::default();
                    self.add(&path, start, bytes)?;
                }
                b'x' => extended = self.pax(start, bytes).await?,
                b'L' => extended.path = Some(text(&self.extended_bytes(start, bytes).await?)),
                // Folders, links and what is said for all: nothing that is read. A sparse file would be read wrongly.
                b'S' => return Err(self.fail(format!("has a sparse member at {at}, which is not supported"))),
                _ => extended = Extended::default(),
            }
            at = end.checked_next_multiple_of(BLOCK).unwrap_or(size).min(size);
        }
        Err(self.fail(format!("has more than {MAX_HEADERS} members: this is no model")))
    }

    fn add(&mut self, path: &str, start: u64, bytes: u64) -> Result<()> {
        let base = path.rsplit('/').next().unwrap_or_default().to_owned();
        if self.members.insert(base.clone(), (start, bytes)).is_some() {
            return Err(self.fail(format!("has two members {base:?}")));
        }
        Ok(())
    }

    /// Of `LENGTH KEY=VALUE\n` records, those that count.
    async fn pax(&self, start: u64, bytes: u64) -> Result<Extended> {
        let records = self.extended_bytes(start, bytes).await?;
        let mut extended = Extended::default();
        for record in records.split(|&byte| byte == b'\n') {
            let record = String::from_utf8_lossy(record);
            let Some((key, value)) = record.split_once(' ').and_then(|(_, rest)| rest.split_once('=')) else {
                continue;
            };
            match key {
                "path" => extended.path = Some(value.to_owned()),
                "size" => {
                    let size = value.parse().map_err(|_| self.fail(format!("states a size {value:?}")))?;
                    extended.size = Some(size);
                }
                _ => {}
            }
        }
        Ok(extended)
    }

    async fn extended_bytes(&self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        if bytes > MAX_EXTENDED_BYTES {
            return Err(self.fail(format!(
                "has an extended header of {bytes} bytes, at most {MAX_EXTENDED_BYTES} are read"
            )));
        }
        self.inner.read(&self.file, start, bytes as usize).await
    }

    /// The sum of all bytes, its own counted as blanks.
    fn check_sum(&self, header: &[u8; 512], at: u64) -> Result<()> {
        let stated = self.number(&header[148..156], at)?;
        let sum: u64 = (0..512)
            .map(|i| if (148..156).contains(&i) { 32 } else { u64::from(header[i]) })
            .sum();
        if stated == sum {
            return Ok(());
        }
        Err(self.fail(format!("is no tar archive: the header at {at} does not add up")))
    }

    /// Octal digits, or, with the first bit set, base 256.
    fn number(&self, field: &[u8], at: u64) -> Result<u64> {
        let fail = || self.fail(format!("is no tar archive: a number in the header at {at} is damaged"));
        if field[0] & 0x80 != 0 {
            // Eight bytes can count; a field that is no longer has no room for the mark.
            let (mark, bytes) = field.split_at(field.len().saturating_sub(8));
            let is_number = matches!(mark, [0x80, zeros @ ..] if zeros.iter().all(|&byte| byte == 0));
            return match bytes.first_chunk() {
                Some(&bytes) if is_number => Ok(u64::from_be_bytes(bytes)),
                _ => Err(fail()),
            };
        }
        let digits = text(field);
        match digits.trim() {
            "" => Ok(0),
            digits => u64::from_str_radix(digits, 8).map_err(|_| fail()),
        }
    }

    fn fail(&self, message: impl Into<String>) -> Error {
        file_error(&*self.file, message)
    }
}

/// Up to the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl Source for Tar {
    fn name(&self) -> &str {
        &self.name
    }

    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>> {
        Box::pin(async move { Ok(self.members.get(file).map(|&(_, size)| size)) })
    }

    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let &(start, size) = self
                .members
                .get(file)
                .ok_or_else(|| file_error(file, format!("is missing in {}", self.name)))?;
            if offset.checked_add(len as u64).is_none_or(|end| end > size) {
                return Err(file_error(
                    file,
                    format!("is truncated: bytes {offset} to {offset} + {len} were asked for, it has {size}"),
                ));
            }
            self.inner.read(&self.file, start + offset, len).await
        })
    }
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
