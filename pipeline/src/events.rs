//! What a run tells its subscribers: progress, warnings, ends, metrics. Never in a stage's way: a slow subscriber loses the oldest.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;

use crate::link::{Bound, LinkParts, Receiver, Sender, WhenFull, link};
use crate::packet::{Body, Event, Metric, Packet};
use crate::signal::Signal;
use crate::time::Clock;
use crate::turn::Turn;

/// How many packets wait for one subscriber.
const SIZE: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not 0");

/// Where stages tell what happens. Clones share it.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    clock: Clock,
    turn: Turn,
    seq: AtomicU64,
    subscribers: Mutex<Vec<Sender>>,
}

impl Hub {
    pub fn new(clock: Clock, turn: Turn) -> Self {
        Self(Arc::new(Shared {
            clock,
            turn,
            seq: AtomicU64::new(0),
            subscribers: Mutex::default(),
        }))
    }

    pub fn subscribe(&self) -> Events {
        // Of a turn of its own, which never ends: what was told stays true.
        let parts = LinkParts {
            bound: Bound::new(SIZE, WhenFull::DropOldest),
            turn: Turn::new(),
            clock: self.0.clock.clone(),
            readable: Arc::new(Signal::default()),
        };
        let (sender, receiver) = link(parts);
        self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Events(receiver)
    }

    /// Tells all subscribers; never waits.
    pub fn tell(&self, body: Body) {
        let packet = Packet {
            seq: self.0.seq.fetch_add(1, Ordering::Relaxed),
            pts: self.0.clock.now(),
            turn: self.0.turn.current(),
            body,
        };
        let mut subscribers = self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        // A link that drops the oldest is always ready.
        subscribers.retain(|subscriber| matches!(subscriber.send(packet.clone()).now_or_never(), Some(Ok(_))));
    }

    /// Ends the streams of all subscribers.
    pub fn close(&self) {
        self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A subscription to a run: packets of `Event` and `Metric`.
pub struct Events(Receiver);

impl Events {
    /// The next packet; `None` after the run's end.
    pub async fn recv(&self) -> Option<Packet> {
        self.0.recv().await
    }
}

/// Tells what a stage does; clones go where its `Context` cannot (blocking work, callbacks).
#[derive(Clone)]
pub struct Reporter {
    pub(crate) stage: Arc<str>,
    pub(crate) hub: Hub,
}

impl Reporter {
    /// `done` of `total` of something long; `total` is 0 if it is not known.
    pub fn progress(&self, what: impl Into<String>, done: u64, total: u64) {
        self.hub.tell(Body::Event(Event::Progress {
            stage: self.stage.to_string(),
            what: what.into(),
            done,
            total,
        }));
    }

    /// Work was lost, but the graph goes on.
    pub fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        tracing::warn!(stage = %self.stage, error = %message, "degraded");
        self.hub.tell(Body::Event(Event::Warning {
            stage: self.stage.to_string(),
            message,
        }));
    }

    pub fn metric(&self, name: &'static str, value: f64) {
        self.hub.tell(Body::Metric(Metric {
            of: self.stage.to_string(),
            name,
            value,
        }));
    }
}
