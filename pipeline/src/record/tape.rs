//! A recording as it is read: everything before its end, wherever that is. Not how it is played (`source.rs`, `order.rs`).

use std::collections::BTreeMap;

use super::bytes::{In, Out};
use super::container::{Chunk, TapeEnd, chunks_from_bytes};
use super::kind;
use crate::error::Error;
use crate::time::Timestamp;

type Result<T> = std::result::Result<T, Error>;

/// What a recording begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The program and its version.
    pub program: String,
    /// The configuration, with everything that the command line changed in it.
    pub text: String,
    /// Where it came from, for messages.
    pub origin: String,
    /// What relative paths in it start from.
    pub base: String,
    /// When the run began, in seconds since 1970: what prompts call today.
    pub unix_s: u64,
    /// Seeds by stage: what draws.
    pub seeds: Vec<(String, u64)>,
    /// Whatever else the program wants to know.
    pub notes: Vec<(String, String)>,
}

impl Start {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Out::new();
        out.text(&self.program).text(&self.text).text(&self.origin).text(&self.base);
        out.number(self.unix_s);
        out.list(self.seeds.iter(), |out, (stage, seed)| {
            out.text(stage).number(*seed);
        });
        out.list(self.notes.iter(), |out, (name, value)| {
            out.text(name).text(value);
        });
        out.0
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut bytes = In::new(bytes);
        let start = Self {
            program: bytes.string()?,
            text: bytes.string()?,
            origin: bytes.string()?,
            base: bytes.string()?,
            unix_s: bytes.number()?,
            seeds: bytes.list(2, |bytes| Ok((bytes.string()?, bytes.number()?)))?,
            notes: bytes.list(2, |bytes| Ok((bytes.string()?, bytes.string()?)))?,
        };
        bytes.end()?;
        Ok(start)
    }

    /// One of [`Start::notes`].
    pub fn note(&self, name: &str) -> Option<&str> {
        self.notes
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a source did.
#[derive(Clone, Debug)]
pub(crate) enum Played {
    /// It sent a packet (as bytes; pictures lean on the one before).
    Packet {
        time: Timestamp,
        bytes: Vec<u8>,
        at_byte: u64,
    },
    Ended(SourceEnd),
}

/// How a source ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEnd {
    pub time: Timestamp,
    pub failure: Option<String>,
    /// Whatever its policy says it is not started again.
    pub is_fatal: bool,
}

/// A stage took packet `seq` from link number `link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    pub link: usize,
    pub seq: u64,
}

/// A recording that was read.
#[derive(Clone, Debug)]
pub struct Tape {
    pub start: Start,
    pub end: TapeEnd,
    /// Names of the graph's stages.
    stages: Vec<String>,
    pub(crate) links: Vec<String>,
    pub(crate) sources: BTreeMap<String, Vec<Played>>,
    pub(crate) took: Vec<Took>,
    pub(crate) turns: Vec<(Timestamp, u64)>,
    others: Vec<Chunk>,
}

impl Tape {
    /// Reads all that is whole; `end` says whether that is all of it.
    ///
    /// Errors: [`Error::NotARecording`], [`Error::RecordingVersion`]; [`Error::RecordingCut`] or [`Error::RecordingDamaged`]
    /// before the run began, so that there is nothing to replay.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (chunks, end) = chunks_from_bytes(bytes)?;
        let is_all_read = end
            == TapeEnd::Cut {
                at_byte: bytes.len() as u64,
            };
        let mut tape = Self {
            start: Start::default(),
            end,
            stages: Vec::new(),
            links: Vec::new(),
            sources: BTreeMap::new(),
            took: Vec::new(),
            turns: Vec::new(),
            others: Vec::new(),
        };
        let n_chunks = chunks.len();
        for (index, chunk) in chunks.into_iter().enumerate() {
            let at_byte = chunk.at_byte;
            let is_last = is_all_read && index + 1 == n_chunks;
            match tape.read(chunk, index == 0, is_last) {
                Ok(None) => {}
                Ok(Some(end)) => tape.end = end,
                Err(error) => {
                    let message = error.to_string();
                    tape.end = TapeEnd::Damaged { at_byte, message };
                    break;
                }
            }
        }
        if tape.stages.is_empty() {
            let message = "the run that it is of never began".to_owned();
            return Err(tape.end.error().unwrap_or(Error::NotARecording { message }));
        }
        Ok(tape)
    }

    /// Adds a chunk; gives the end if this is it.
    fn read(&mut self, chunk: Chunk, is_first: bool, is_last: bool) -> Result<Option<TapeEnd>> {
        let mut bytes = In::new(&chunk.payload);
        if is_first != (chunk.kind == kind::START) {
            return misplaced();
        }
        match chunk.kind {
            kind::START => self.start = Start::from_bytes(&chunk.payload)?,
            kind::GRAPH if !self.stages.is_empty() => return misplaced(),
            kind::GRAPH => {
                let stages = bytes.list(2, |bytes| Ok((bytes.string()?, bytes.bool()?)))?;
                self.links = bytes.list(1, In::string)?;
                bytes.end()?;
                for (name, is_source) in stages {
                    if is_source {
                        self.sources.insert(name.clone(), Vec::new());
                    }
                    self.stages.push(name);
                }
            }
            kind::SENT => {
                let (source, time) = (bytes.small()?, bytes.time()?);
                let (bytes, at_byte) = (bytes.rest().to_vec(), chunk.at_byte);
                self.source(source)?.push(Played::Packet { time, bytes, at_byte });
            }
            kind::TOOK => {
                let (link, seq) = (bytes.small()?, bytes.number()?);
                bytes.end()?;
                if link >= self.links.len() {
                    return misplaced();
                }
                self.took.push(Took { link, seq });
            }
            kind::SOURCE_END => {
                let (source, time) = (bytes.small()?, bytes.time()?);
                let (failure, is_fatal) = (bytes.option(In::string)?, bytes.bool()?);
                bytes.end()?;
                self.source(source)?
                    .push(Played::Ended(SourceEnd { time, failure, is_fatal }));
            }
            kind::TURN => {
                self.turns.push((bytes.time()?, bytes.number()?));
                bytes.end()?;
            }
            kind::END => {
                let failure = bytes.option(In::string)?;
                bytes.end()?;
                return match is_last {
                    true => Ok(Some(TapeEnd::Whole { failure })),
                    false => Err(Error::Malformed {
                        what: "an end that something follows",
                    }),
                };
            }
            kind if kind >= kind::FIRST_OF_ENGINES => self.others.push(chunk),
            _ => {}
        }
        Ok(None)
    }

    fn source(&mut self, index: usize) -> Result<&mut Vec<Played>> {
        let name = self.stages.get(index);
        match name.and_then(|name| self.sources.get_mut(name)) {
            Some(played) => Ok(played),
            None => misplaced(),
        }
    }

    /// Whether it is whole.
    pub fn is_whole(&self) -> bool {
        matches!(self.end, TapeEnd::Whole { .. })
    }

    /// The names of the stages that were sources.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    /// The chunks of other crates, in order.
    pub fn others(&self) -> &[Chunk] {
        &self.others
    }
}

fn misplaced<T>() -> Result<T> {
    Err(Error::Malformed {
        what: "something that cannot be here",
    })
}
