//! Writes a run down while it goes on. Not an engine's replies: crate `gpu` adds those with [`Recorder::write`].

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bytes::Out;
use super::container::TapeWriter;
use super::kind;
use super::packet::packet_to_bytes;
use super::picture::PictureCoder;
use super::tape::{SourceEnd, Start};
use crate::error::Error;
use crate::graph::Graph;
use crate::packet::{Body, Packet};
use crate::spawn;
use crate::time::Timestamp;

/// A recording that is being written. Clones write the same. Nothing that goes wrong here is in the run's way: it is told by
/// [`Recorder::finish`].
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<State>>);

struct State {
    writer: TapeWriter<Box<dyn Write + Send>>,
    /// By the number of the source.
    pictures: BTreeMap<usize, Arc<Mutex<PictureCoder>>>,
    /// After it nothing is written.
    failed: Option<Error>,
    is_over: bool,
}

fn write_failed(source: std::io::Error) -> Error {
    Error::RecordingWrite { source }
}

impl Recorder {
    /// Begins a recording. `out` should not buffer: each chunk is written in one piece, at once.
    ///
    /// Errors: [`Error::RecordingWrite`].
    pub fn new(out: impl Write + Send + 'static, start: &Start) -> Result<Self, Error> {
        let mut writer = TapeWriter::new(Box::new(out) as Box<dyn Write + Send>).map_err(write_failed)?;
        writer.write(kind::START, &start.to_bytes()).map_err(write_failed)?;
        Ok(Self(Arc::new(Mutex::new(State {
            writer,
            pictures: BTreeMap::new(),
            failed: None,
            is_over: false,
        }))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a chunk of another crate's.
    pub fn write(&self, kind: u8, payload: &[u8]) {
        let mut state = self.lock();
        if state.failed.is_none() && !state.is_over {
            state.failed = state.writer.write(kind, payload).map_err(write_failed).err();
            if let Some(error) = &state.failed {
                tracing::error!(%error, "the recording ends here");
            }
        }
    }

    fn fail(&self, error: Error) {
        let mut state = self.lock();
        if state.failed.is_none() {
            tracing::error!(%error, "the recording ends here");
            state.failed = Some(error);
        }
    }

    /// The numbers that the graph's stages and links have from here on.
    pub(crate) fn graph(&self, graph: &Graph, is_source: impl Fn(usize) -> bool) {
        let mut out = Out::new();
        out.list(graph.stages().iter().enumerate(), |out, (index, stage)| {
            out.text(&stage.name).bool(is_source(index));
        });
        out.list(graph.links().iter(), |out, link| {
            out.text(&graph.link_name(link));
        });
        self.write(kind::GRAPH, &out.0);
    }

    /// A source sends a packet.
    pub(crate) async fn sent(&self, source: usize, now: Timestamp, packet: &Packet) {
        let coder = self.lock().pictures.entry(source).or_default().clone();
        let is_picture = matches!(packet.body, Body::Frame(_));
        let (packet, recorder) = (packet.clone(), self.clone());
        let work = move || {
            // Held until it is written: a picture leans on the one before it in the file.
            let mut coder = coder.lock().unwrap_or_else(PoisonError::into_inner);
            match packet_to_bytes(&packet, &mut coder) {
                Ok(bytes) => {
                    let mut out = Out::new();
                    out.number(source as u64).time(now).raw(&bytes);
                    recorder.write(kind::SENT, &out.0);
                }
                Err(error) => recorder.fail(error),
            }
        };
        match is_picture {
            true => spawn::blocking(work).await,
            false => work(),
        }
    }

    /// A stage takes packet `seq` from a link.
    pub(crate) fn took(&self, link: usize, seq: u64) {
        let mut out = Out::new();
        out.number(link as u64).number(seq);
        self.write(kind::TOOK, &out.0);
    }

    /// A source ended, well or with a failure.
    fn source_ended(&self, source: usize, end: &SourceEnd) {
        let mut out = Out::new();
        out.number(source as u64).time(end.time);
        out.option(end.failure.as_ref(), |out, failure| {
            out.text(failure);
        });
        out.bool(end.is_fatal);
        self.write(kind::SOURCE_END, &out.0);
    }

    /// A turn begins.
    pub(crate) fn turn(&self, now: Timestamp, turn: u64) {
        let mut out = Out::new();
        out.time(now).number(turn);
        self.write(kind::TURN, &out.0);
    }

    /// Ends the recording; `failure` is what the run failed with. Whatever is written later is not kept.
    ///
    /// Errors: the first that there was: [`Error::RecordingWrite`]; [`Error::NotBytes`] of a source's packets.
    pub fn finish(&self, failure: Option<&str>) -> Result<(), Error> {
        let mut out = Out::new();
        out.option(failure, |out, failure| {
            out.text(failure);
        });
        self.write(kind::END, &out.0);
        let mut state = self.lock();
        state.is_over = true;
        state.failed.take().map_or(Ok(()), Err)
    }
}

/// A source's place in a recording.
pub(crate) struct SourceTape {
    pub recorder: Recorder,
    pub source: usize,
}

impl SourceTape {
    pub async fn sent(&self, now: Timestamp, packet: &Packet) {
        self.recorder.sent(self.source, now, packet).await;
    }

    /// `is_fatal`: whatever its policy says it is not started again.
    pub fn ended(&self, now: Timestamp, failure: Option<&Error>, is_fatal: bool) {
        let failure = failure.map(|error| match error {
            Error::Stage { source, .. } => crate::error::chain(source.as_ref()),
            other => crate::error::chain(other),
        });
        let end = SourceEnd {
            time: now,
            failure,
            is_fatal,
        };
        self.recorder.source_ended(self.source, &end);
    }
}
