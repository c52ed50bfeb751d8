//! Virtual time: how many are busy, and the timers that it jumps to. Not who is busy (`tracked.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Virtual {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    n_busy: usize,
    next_id: u64,
    /// By time, then by age.
    timers: BTreeMap<(Timestamp, u64), Waker>,
    /// Timers that have ended and whose tasks have not looked yet: each is busy.
    ended: BTreeSet<u64>,
}

impl State {
    /// Ends the next timer if nobody is busy; the waker is to be called without the lock.
    fn step(&mut self) -> Option<Waker> {
        if self.n_busy > 0 {
            return None;
        }
        let ((time, id), waker) = self.timers.pop_first()?;
        self.now = self.now.max(time);
        self.n_busy += 1;
        self.ended.insert(id);
        Some(waker)
    }
}

impl Virtual {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.now = Timestamp(state.now.0.saturating_add(by));
    }

    pub fn begin(&self) {
        self.lock().n_busy += 1;
    }

    /// One is busy no longer; with the last of them time moves on.
    pub fn end(&self) {
        let waker = {
            let mut state = self.lock();
            state.n_busy -= 1;
            state.step()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Virtual time stands while one of these lives. See [`super::Clock::busy`].
#[derive(Debug)]
#[must_use = "time moves again when this is dropped"]
pub struct Busy(Option<Arc<Virtual>>);

impl Busy {
    pub(super) fn of(clock: Arc<Virtual>) -> Self {
        clock.begin();
        Self(Some(clock))
    }

    /// Of real time, which stands for nobody.
    pub(super) fn none() -> Self {
        Self(None)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            clock.end();
        }
    }
}

/// A timer.
pub(super) struct Sleep {
    clock: Arc<Virtual>,
    until: Timestamp,
    /// `None` before the first poll and after the end.
    id: Option<u64>,
}

impl Sleep {
    pub fn new(clock: Arc<Virtual>, until: Timestamp) -> Self {
        Self { clock, until, id: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let clock = self.clock.clone();
        let next = {
            let mut state = clock.lock();
            if let Some(id) = self.id {
                if state.ended.remove(&id) {
                    self.id = None;
                    drop(state);
                    // Whoever polls is busy itself, if it is tracked.
                    clock.end();
                    return Poll::Ready(());
                }
                state.timers.insert((until, id), cx.waker().clone());
                None
            } else {
                state.next_id += 1;
                let id = state.next_id;
                self.id = Some(id);
                state.timers.insert((until, id), cx.waker().clone());
                // A task that is not tracked may be the only one that there is.
                state.step()
            }
        };
        if let Some(waker) = next {
            waker.wake();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let had_ended = {
            let mut state = self.clock.lock();
            state.timers.remove(&(self.until, id));
            state.ended.remove(&id)
        };
        if had_ended {
            self.clock.end();
        }
    }
}
