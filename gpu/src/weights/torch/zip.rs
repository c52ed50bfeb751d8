//! Where the entries of a zip archive lie, for archives that store and do not compress, as torch's do. Nothing is ever
//! inflated. Source: PKWARE's APPNOTE.TXT 6.3.10.

use std::collections::BTreeMap;

use super::super::source::{Source, file_error};
use crate::error::{Error, Result};

/// A comment has at most 65,535 bytes, the record before it 22, the locator before that 20.
const TAIL_BYTES: u64 = 65_535 + 22 + 20;
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;
const MAX_ENTRIES: u64 = 1 << 18;

/// An entry as the directory states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    header_offset: u64,
    size: u64,
}

/// The directory of an archive.
pub struct Zip<'a> {
    source: &'a dyn Source,
    file: &'a str,
    entries: BTreeMap<String, Entry>,
    /// Where the directory begins; all data lies before it.
    directory_offset: u64,
}

impl<'a> Zip<'a> {
    /// Reads the directory of `file`.
    ///
    /// Errors: `File` if it is no zip archive, a damaged one, or one with compressed or encrypted entries.
    pub async fn open(source: &'a dyn Source, file: &'a str, size: u64) -> Result<Self> {
        let fail = |message: String| file_error(file, message);
        let tail_offset = size.saturating_sub(TAIL_BYTES);
        let tail = source.read(file, tail_offset, (size - tail_offset) as usize).await?;
        let end = (0..tail.len().saturating_sub(21))
            .rev()
            .find(|&at| tail[at..].starts_with(b"PK\x05\x06") && at + 22 + usize::from(u16_at(&tail, at + 20)) == tail.len())
            .ok_or_else(|| fail("is no zip archive; checkpoints of torch before 1.6 are not supported".into()))?;
        let mut n = u64::from(u16_at(&tail, end + 10));
        let mut bytes = u64::from(u32_at(&tail, end + 12));
        let mut offset = u64::from(u32_at(&tail, end + 16));
        if let Some(locator) = end.checked_sub(20).filter(|&at| tail[at..].starts_with(b"PK\x06\x07")) {
            let at = u64_at(&tail, locator + 8);
            let record = match at.checked_add(56) {
                Some(end) if end <= size => source.read(file, at, 56).await?,
                _ => Vec::new(),
            };
            if !record.starts_with(b"PK\x06\x06") {
                return Err(fail("has a zip directory that leads nowhere".into()));
            }
            (n, bytes, offset) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
        }
        if n > MAX_ENTRIES || bytes > MAX_DIRECTORY_BYTES || offset.checked_add(bytes).is_none_or(|end| end > size) {
            return Err(fail(format!(
                "has a zip directory of {n} entries in {bytes} bytes at {offset}, the file has {size}"
            )));
        }
        let directory = source.read(file, offset, bytes as usize).await?;
        let entries = parse(file, &directory, n)?;
        Ok(Self {
            source,
            file,
            entries,
            directory_offset: offset,
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Where the data of an entry begins in the file, and its size; `None` if there is none of this name.
    ///
    /// Errors: `File` if the entry's own header is damaged or its data leaves the archive.
    pub async fn range(&self, name: &str) -> Result<Option<(u64, u64)>> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        let damaged = || file_error(self.file, format!("has a damaged zip entry {name}"));
        let data = entry.header_offset.checked_add(30).ok_or_else(damaged)?;
        if data > self.directory_offset {
            return Err(damaged());
        }
        let header = self.source.read(self.file, entry.header_offset, 30).await?;
        if !header.starts_with(b"PK\x03\x04") || header.len() < 30 {
            return Err(damaged());
        }
        let start = data + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let inside = start.checked_add(entry.size).is_some_and(|end| end <= self.directory_offset);
        if inside {
            Ok(Some((start, entry.size)))
        } else {
            Err(damaged())
        }
    }
}

fn parse(file: &str, directory: &[u8], n: u64) -> Result<BTreeMap<String, Entry>> {
    let damaged = || file_error(file, "has a damaged zip directory");
    let mut entries = BTreeMap::new();
    let mut rest = directory;
    for _ in 0..n {
        if !rest.starts_with(b"PK\x01\x02") || rest.len() < 46 {
            return Err(damaged());
        }
        let lens = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let (head, tail) = rest.split_at_checked(46 + lens.iter().sum::<usize>()).ok_or_else(damaged)?;
        rest = tail;
        let name = String::from_utf8_lossy(&head[46..46 + lens[0]]).into_owned();
        let fail = |message: &str| Error::File {
            file: file.to_owned(),
            message: format!("zip entry {name} {message}"),
        };
        if u16_at(head, 8) & 1 != 0 {
            return Err(fail("is encrypted"));
        }
        if u16_at(head, 10) != 0 {
            return Err(fail(
                "is compressed; torch stores tensors as they are, and nothing is inflated here",
            ));
        }
        let entry = wide(head, &head[46 + lens[0]..46 + lens[0] + lens[1]]).ok_or_else(|| fail("has sizes that do not agree"))?;
        if entries.insert(name.clone(), entry).is_some() {
            return Err(fail("occurs twice"));
        }
    }
    Ok(entries)
}

/// Size and offset, from the zip64 field where the plain ones are full; `None` if stored and stated size differ.
fn wide(head: &[u8], extra: &[u8]) -> Option<Entry> {
    let [mut stored, mut size, mut header_offset] = [20, 24, 42].map(|at| u64::from(u32_at(head, at)));
    let mut rest = extra;
    while let Some((field, tail)) = rest.split_at_checked(4) {
        let (data, tail) = tail.split_at_checked(usize::from(u16_at(field, 2)))?;
        if u16_at(field, 0) == 1 {
            let mut words = data.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word));
            for value in [&mut size, &mut stored, &mut header_offset] {
                if *value == u64::from(u32::MAX) {
                    *value = words.next()?;
                }
            }
        }
        rest = tail;
    }
    (stored == size).then_some(Entry { header_offset, size })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |&b| u16::from_le_bytes(b))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |&b| u32::from_le_bytes(b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |&b| u64::from_le_bytes(b))
}
