//! The current turn, and the signal to stop: the two things that a whole run shares. Not what stages do about them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::signal::Signal;

/// Something that holds packets of turns and can let go of those of older ones.
pub(crate) trait HoldsTurns: Send + Sync {
    fn drop_older_than(&self, turn: u64);
}

/// The current turn of a run. Clones share it.
#[derive(Clone, Default)]
pub struct Turn(Arc<Shared>);

#[derive(Default)]
struct Shared {
    current: AtomicU64,
    changed: Signal,
    holders: Mutex<Vec<Weak<dyn HoldsTurns>>>,
}

impl Turn {
    /// For packets that belong to no turn and outlive all of them: what a microphone hears, what a speaker has played.
    pub const ALWAYS: u64 = u64::MAX;

    /// Turn 0.
    pub fn new() -> Self {
        Self::default()
    }

    pub fn current(&self) -> u64 {
        self.0.current.load(Ordering::Acquire)
    }

    /// Begins the next turn and gives its number: everything that belongs to an older one is dropped where it lies,
    /// and nothing of it passes a link any more.
    pub fn next(&self) -> u64 {
        let turn = self.0.current.fetch_add(1, Ordering::AcqRel) + 1;
        self.began(turn);
        turn
    }

    /// Makes `turn` the current one if it is later than that, as in a recorded run.
    pub(crate) fn reach(&self, turn: u64) {
        if self.0.current.fetch_max(turn, Ordering::AcqRel) < turn {
            self.began(turn);
        }
    }

    fn began(&self, turn: u64) {
        let holders: Vec<_> = {
            let mut holders = self.0.holders.lock().unwrap_or_else(PoisonError::into_inner);
            holders.retain(|holder| holder.strong_count() > 0);
            holders.iter().filter_map(Weak::upgrade).collect()
        };
        for holder in holders {
            holder.drop_older_than(turn);
        }
        self.0.changed.notify();
    }

    /// Whether `turn` is older than the current one.
    pub fn is_stale(&self, turn: u64) -> bool {
        turn < self.current()
    }

    /// Ends when `turn` is over, so that long work on it can be dropped in a `select`.
    pub async fn over(&self, turn: u64) {
        self.0.changed.until(|| self.is_stale(turn).then_some(())).await;
    }

    pub(crate) fn register(&self, holder: Weak<dyn HoldsTurns>) {
        self.0.holders.lock().unwrap_or_else(PoisonError::into_inner).push(holder);
    }
}

/// Asks sources to end. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<StopShared>);

#[derive(Default)]
struct StopShared {
    asked: AtomicBool,
    changed: Signal,
    readers: Mutex<Vec<Arc<Signal>>>,
}

impl Stop {
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.changed.notify();
        for reader in self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            reader.notify();
        }
    }

    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    pub async fn asked(&self) {
        self.0.changed.until(|| self.is_asked().then_some(())).await;
    }

    /// Also wakes `reader` when asked.
    pub fn register(&self, reader: Arc<Signal>) {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    }
}
