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
            let track = inner.tracks.iter().position(|track| track == name).unwrap_or_else(|| {
                inner.tracks.push(name.to_owned());
                inner.tracks.len() - 1
            });
            (store.clone(), track)
        }))
    }

    /// The trace so far in the Trace Event Format: `{"traceEvents": […]}`; without events if it is off.
    pub fn to_json(&self) -> String {
        match &self.0 {
            Some(store) => json::json_from_inner(&store.lock(), store.n_left_out.load(Ordering::Relaxed)),
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
    pub fn slice(&self, name: impl Into<Cow<'static, str>>, start: Timestamp, end: Timestamp, numbers: &[(&'static str, f64)]) {
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

    /// The same, of the work on a packet.
    pub fn slice_on(&self, name: impl Into<Cow<'static, str>>, start: Timestamp, end: Timestamp, packet: &Packet) {
        if let Some((store, track)) = &self.0 {
            let args = Args {
                packet: Some((packet.seq, packet.pts, packet.turn)),
                numbers: Vec::new(),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp(Duration::from_millis(ms))
    }

    fn rows(trace: &Trace) -> Vec<(String, u64)> {
        let json: serde_json::Value = serde_json::from_str(&trace.to_json()).expect("valid JSON");
        let events = json["traceEvents"].as_array().expect("a list").clone();
        let slices = events.into_iter().filter(|event| event["ph"] == "X");
        let mut rows: Vec<_> = slices
            .map(|event| {
                (
                    event["name"].as_str().expect("a name").to_owned(),
                    event["tid"].as_u64().expect("a track"),
                )
            })
            .collect();
        rows.sort();
        rows
    }

    #[test]
    fn slices_that_overlap_stand_on_rows_of_their_own() {
        let trace = Trace::on(Clock::new());
        let gpu = trace.track("gpu");
        gpu.slice("outer", at(0), at(10), &[]);
        gpu.slice("inner", at(2), at(5), &[("n_tokens", 3.0)]);
        gpu.slice("overlaps", at(8), at(12), &[]);
        gpu.slice("later", at(12), at(13), &[]);
        trace.track("screen").slice("other", at(0), at(1), &[]);
        let rows = rows(&trace);
        let row = |name: &str| rows.iter().find(|(other, _)| other == name).expect("it is there").1;
        assert_eq!(row("outer"), row("inner"), "what is inside is drawn inside");
        assert_ne!(row("outer"), row("overlaps"));
        assert_eq!(row("outer"), row("later"));
        assert!(row("other") > row("overlaps"), "another track");
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn a_span_tells_its_packet() {
        let trace = Trace::on(Clock::new());
        let packet = crate::testing::packet(4, 2);
        drop(trace.track("mid").span("work").on(&packet).with("n_tokens", 7.0));
        let json: serde_json::Value = serde_json::from_str(&trace.to_json()).expect("valid JSON");
        let event = json["traceEvents"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|event| event["ph"] == "X");
        let expected = serde_json::json!({ "stage": "mid", "seq": 4, "pts_ms": 4.0, "turn": 2, "n_tokens": 7.0 });
        assert_eq!(event.expect("it is there")["args"], expected);
    }

    #[test]
    fn off_keeps_nothing() {
        let trace = Trace::off();
        drop(trace.track("gpu").span("work"));
        assert!(rows(&trace).is_empty());
    }
}
