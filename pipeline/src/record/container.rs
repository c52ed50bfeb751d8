//! The file: a head, then chunks, each with its kind, length, payload and CRC-32. Not what is in them.

use std::io::{self, Write};

use crc32fast::Hasher;

use crate::error::Error;

/// The first eight bytes. A transfer that takes it for text breaks the line ends, and so is found out.
const MAGIC: [u8; 8] = *b"\x89QWR\r\n\x1a\n";
/// What this program writes, and the only one that it reads.
pub const VERSION: u16 = 2;
/// Magic, version, two bytes that are 0, CRC-32 of the twelve.
const HEAD_BYTES: usize = 16;
/// Kind and length before a payload, CRC-32 behind it.
const BEFORE_BYTES: usize = 5;
const BEHIND_BYTES: usize = 4;
/// The longest payload: a picture of 64 million pixels that does not compress fits.
pub const MAX_CHUNK_BYTES: usize = 256 << 20;

/// A piece of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub kind: u8,
    pub payload: Vec<u8>,
    /// Where it begins in the file.
    pub at_byte: u64,
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapeEnd {
    /// With the run. `failure` is what the run failed with, if it did.
    Whole { failure: Option<String> },
    /// Before the run: the program or the machine ended, or the file was cut. All before `at_byte` is whole.
    Cut { at_byte: u64 },
    /// All before `at_byte` is whole; the chunk there is not what was written.
    Damaged { at_byte: u64, message: String },
}

impl TapeEnd {
    /// What there is to say about it; `None` if the recording is whole.
    pub fn error(&self) -> Option<Error> {
        match self.clone() {
            Self::Whole { .. } => None,
            Self::Cut { at_byte } => Some(Error::RecordingCut { at_byte }),
            Self::Damaged { at_byte, message } => Some(Error::RecordingDamaged { at_byte, message }),
        }
    }
}

/// Writes chunks, each in one piece, so that a program that ends at any moment leaves a file that is whole but for its last chunk.
pub struct TapeWriter<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> TapeWriter<W> {
    /// Writes the head. `out` should not buffer.
    ///
    /// Errors: those of `out`.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&MAGIC);
        head[8..10].copy_from_slice(&VERSION.to_le_bytes());
        let crc = crc32fast::hash(&head[..12]);
        head[12..].copy_from_slice(&crc.to_le_bytes());
        out.write_all(&head)?;
        out.flush()?;
        Ok(Self { out, buffer: Vec::new() })
    }

    /// Errors: those of the writer; a payload above [`MAX_CHUNK_BYTES`].
    pub fn write(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let n_bytes = u32::try_from(payload.len()).ok().filter(|n| *n as usize <= MAX_CHUNK_BYTES);
        let n_bytes = n_bytes.ok_or_else(|| io::Error::other(format!("a chunk of {} bytes is too long", payload.len())))?;
        self.buffer.clear();
        self.buffer.push(kind);
        self.buffer.extend(n_bytes.to_le_bytes());
        self.buffer.extend(payload);
        let crc = crc32fast::hash(&self.buffer);
        self.buffer.extend(crc.to_le_bytes());
        self.out.write_all(&self.buffer)?;
        self.out.flush()
    }
}

/// The chunks of a recording up to where it stops making sense, and what is there. The caller knows the chunk that a whole
/// recording ends with: without it a recording that stops between two chunks is cut as well.
///
/// Errors: [`Error::NotARecording`], [`Error::RecordingVersion`]; [`Error::RecordingCut`] in the middle of the head.
pub fn chunks_from_bytes(bytes: &[u8]) -> Result<(Vec<Chunk>, TapeEnd), Error> {
    let n_magic = bytes.len().min(MAGIC.len());
    if bytes[..n_magic] != MAGIC[..n_magic] {
        let message = "it does not begin as one".to_owned();
        return Err(Error::NotARecording { message });
    }
    let at_byte = bytes.len() as u64;
    let Some((head, mut rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(Error::RecordingCut { at_byte });
    };
    if crc32fast::hash(&head[..12]).to_le_bytes() != head[12..] {
        let message = "its head is damaged".to_owned();
        return Err(Error::NotARecording { message });
    }
    let found = u16::from_le_bytes([head[8], head[9]]);
    if found != VERSION || head[10..12] != [0, 0] {
        return Err(Error::RecordingVersion {
            found,
            supported: VERSION,
        });
    }
    let mut chunks = Vec::new();
    loop {
        let at_byte = (bytes.len() - rest.len()) as u64;
        match chunk(&mut rest, at_byte) {
            Ok(chunk) => chunks.push(chunk),
            Err(end) => return Ok((chunks, end)),
        }
    }
}

fn chunk(rest: &mut &[u8], at_byte: u64) -> Result<Chunk, TapeEnd> {
    let cut = TapeEnd::Cut { at_byte };
    let Some((&[kind, a, b, c, d], _)) = rest.split_first_chunk::<BEFORE_BYTES>() else {
        return Err(cut);
    };
    let n_bytes = u32::from_le_bytes([a, b, c, d]) as usize;
    if n_bytes > MAX_CHUNK_BYTES {
        let message = format!("a chunk of {n_bytes} bytes");
        return Err(TapeEnd::Damaged { at_byte, message });
    }
    let Some((whole, tail)) = rest.split_at_checked(BEFORE_BYTES + n_bytes + BEHIND_BYTES) else {
        return Err(cut);
    };
    let (checked, crc) = whole.split_at(BEFORE_BYTES + n_bytes);
    let mut hasher = Hasher::new();
    hasher.update(checked);
    if hasher.finalize().to_le_bytes() != crc {
        let message = "a checksum is wrong".to_owned();
        return Err(TapeEnd::Damaged { at_byte, message });
    }
    *rest = tail;
    Ok(Chunk {
        kind,
        payload: checked[BEFORE_BYTES..].to_vec(),
        at_byte,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
        let mut bytes = Vec::new();
        let chunks = vec![(1, b"words".to_vec()), (3, Vec::new()), (200, vec![7; 300]), (15, vec![0])];
        let mut writer = TapeWriter::new(&mut bytes).unwrap();
        for (kind, payload) in &chunks {
            writer.write(*kind, payload).unwrap();
        }
        (bytes, chunks)
    }

    fn plain(chunks: Vec<Chunk>) -> Vec<(u8, Vec<u8>)> {
        chunks.into_iter().map(|chunk| (chunk.kind, chunk.payload)).collect()
    }

    #[test]
    fn chunks_come_back_as_they_were_written() {
        let (bytes, chunks) = sample();
        let (read, end) = chunks_from_bytes(&bytes).unwrap();
        assert_eq!(read[1].at_byte, 16 + 9 + 5);
        assert_eq!(plain(read), chunks);
        let at_byte = bytes.len() as u64;
        assert_eq!(end, TapeEnd::Cut { at_byte }, "where the file ends, for the caller to judge");
    }

    #[test]
    fn cut_at_any_byte_the_chunks_before_are_there() {
        let (bytes, chunks) = sample();
        for n in 0..bytes.len() {
            match chunks_from_bytes(&bytes[..n]) {
                Err(Error::RecordingCut { at_byte }) => assert!(n < HEAD_BYTES && at_byte == n as u64),
                Ok((read, TapeEnd::Cut { at_byte })) => {
                    let read = plain(read);
                    assert!(n >= HEAD_BYTES && at_byte <= n as u64 && read.len() < chunks.len());
                    assert_eq!(read, chunks[..read.len()]);
                }
                other => panic!("{n}: {other:?}"),
            }
        }
    }

    #[test]
    fn any_byte_that_flips_is_noticed() {
        let (bytes, chunks) = sample();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                match chunks_from_bytes(&bytes) {
                    Err(_) => assert!(at < HEAD_BYTES, "byte {at}"),
                    Ok((read, end)) => {
                        assert!(end.error().is_some() && at >= HEAD_BYTES, "byte {at}");
                        let read = plain(read);
                        assert!(read.len() < chunks.len(), "byte {at}");
                        assert_eq!(read, chunks[..read.len()], "byte {at}");
                    }
                }
            }
        }
    }
}
