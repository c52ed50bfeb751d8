//! Spans of a run as Chrome trace events, which Perfetto opens. Not logging: that is `tracing`'s.

mod json;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::packet::Packet;
use crate::time::{Clock, Timestamp};

/// The most slices that are kept; later ones are counted and left out, so that a long run has a bound.
const MAX_SLICES: usize = 1 << 20;

/// The trace of a run, or nothing at all. Clones share it.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Store>>);

struct Store {
    clock: Clock,
    inner: Mutex<Inner>,
    n_left_out: AtomicU64,
}

#[derive(Default)]
struct Inner {
    tracks: Vec<String>,
    slices: Vec<Slice>,
}

struct Slice {
    track: usize,
    name: Cow<'static, str>,
    start: Timestamp,
    end: Timestamp,
    args: Args,
}

/// What a slice tells besides its time.
#[derive(Clone, Debug, Default)]
struct Args {
    packet: Option<(u64, Timestamp, u64)>,
    numbers: Vec<(&'static str, f64)>,
}

impl Trace {
    /// Keeps nothing and costs next to nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Keeps spans in memory; `clock` must be the run's (`RunOptions::clock`), so that all tracks have one time.
    pub fn on(clock: Clock) -> Self {
        Self(Some(Arc::new(Store {
            clock,
            inner: Mutex::default(),
            n_left_out: AtomicU64::new(0),
        })))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The track of that name, made at first use.
    pub fn track(&self, name: &str) -> TraceHandle {
        TraceHandle(self.0.as_ref().map(|store| {
            let mut inner = store.lock();
            let track = inner
                .tracks
                .iter()
                .position(|track| track == name)
                .unwrap_or_else(|| {
                    inner.tracks.push(name.to_owned());
                    inner.tracks.len() - 1
                });
            (store.clone(), track)
        }))
    }

    /// The trace so far in the Trace Event Format: `{"traceEvents": […]}`; without events if it is off.
    pub fn to_json(&self) -> String {
        match &self.0 {
            Some(store) => {
                json::json_from_inner(&store.lock(), store.n_left_out.load(Ordering::Relaxed))
            }
            None => json::json_from_inner(&Inner::default(), 0),
        }
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes on one track of a trace; a stage has its own, the GPU actor another.
#[derive(Clone, Default)]
pub struct TraceHandle(Option<(Arc<Store>, usize)>);

impl TraceHandle {
    pub fn off() -> Self {
        Self(None)
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Opens a slice that ends when the [`Span`] is dropped. Slices of one track may overlap: they are drawn on several rows.
    pub fn span(&self, name: impl Into<Cow<'static, str>>) -> Span {
        Span(self.0.as_ref().map(|(store, track)| {
            let start = store.clock.now();
            let slice = Slice {
                track: *track,
                name: name.into(),
                start,
                end: start,
                args: Args::default(),
            };
            (store.clone(), slice)
        }))
    }

    /// A slice between two times that are already known.
    pub fn slice(
        &self,
        name: impl Into<Cow<'static, str>>,
        start: Timestamp,
        end: Timestamp,
        numbers: &[(&'static str, f64)],
    ) {
        if let Some((store, track)) = &self.0 {
            let args = Args {
                packet: None,
                numbers: numbers.to_vec(),
            };
            store.add(Slice {
                track: *track,
                name: name.into(),
                start,
                end,
                args,
            });
        }
    }
}

impl Store {
    fn add(&self, slice: Slice) {
        let mut inner = self.lock();
        if inner.slices.len() < MAX_SLICES {
            inner.slices.push(slice);
        } else {
            self.n_left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A slice that is still open.
#[derive(Default)]
#[must_use = "the slice ends when this is dropped"]
pub struct Span(Option<(Arc<Store>, Slice)>);

impl Span {
    /// Says which packet the work is on.
    pub fn on(mut self, packet: &Packet) -> Self {
        if let Some((_, slice)) = &mut self.0 {
            slice.args.packet = Some((packet.seq, packet.pts, packet.turn));
        }
        self
    }

    /// Adds a number: `n_tokens`, `size_bytes` …
    pub fn with(mut self, name: &'static str, value: f64) -> Self {
        self.add(name, value);
        self
    }

    /// Adds a number that is only known later.
    pub fn add(&mut self, name: &'static str, value: f64) {
        if let Some((_, slice)) = &mut self.0 {
            slice.args.numbers.push((name, value));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some((store, mut slice)) = self.0.take() {
            slice.end = store.clock.now();
            store.add(slice);
        }
    }
}
