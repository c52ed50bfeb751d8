//! What outlives a stage's restarts: which incarnation may act, what it has in hand, when it last moved.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::packet::Packet;
use crate::signal::Signal;
use crate::time::{Clock, Timestamp};

/// What is kept of a stage's hand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    /// The packet in hand, for the next incarnation.
    pub retry: bool,
    /// Since when it has not moved.
    pub watch: bool,
}

#[derive(Default)]
pub(crate) struct Life {
    keep: Keep,
    /// The next packet's number.
    seq: AtomicU64,
    incarnation: AtomicU64,
    n_lost: AtomicU64,
    hand: Mutex<Hand>,
    taken: Signal,
}

#[derive(Default)]
struct Hand {
    is_full: bool,
    packet: Option<(usize, Packet)>,
    /// What the incarnation before had in hand.
    again: Option<(usize, Packet)>,
    /// The last sign of life, while the stage works on a packet.
    since: Option<Timestamp>,
}

impl Life {
    pub fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed)
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Packets that failed incarnations had in hand and that nobody gets again.
    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }

    /// The stage has a packet in hand.
    pub fn takes(&self, port: usize, packet: &Packet, now: Timestamp) {
        let old = {
            let mut hand = self.hand();
            hand.is_full = true;
            hand.since = self.keep.watch.then_some(now);
            match self.keep.retry {
                true => hand.packet.replace((port, packet.clone())),
                false => None,
            }
        };
        drop(old);
        if self.keep.watch {
            self.taken.notify();
        }
    }

    /// The stage is through with its packet.
    pub fn lets_go(&self) {
        let old = {
            let mut hand = self.hand();
            hand.is_full = false;
            hand.since = None;
            hand.packet.take()
        };
        // It may own much: not under the lock.
        drop(old);
    }

    /// The stage waits for room: that it stands still is not its fault.
    pub fn waits(&self) {
        if self.keep.watch {
            self.hand().since = None;
        }
    }

    /// The stage goes on after a wait.
    pub fn goes_on(&self, now: Timestamp) {
        if !self.keep.watch {
            return;
        }
        {
            let mut hand = self.hand();
            if !hand.is_full {
                return;
            }
            hand.since = Some(now);
        }
        self.taken.notify();
    }

    /// The stage moves: it is polled.
    pub fn moves(&self, now: Timestamp) {
        let mut hand = self.hand();
        if hand.since.is_some() {
            hand.since = Some(now);
        }
    }

    pub fn is_watched(&self) -> bool {
        self.keep.watch
    }

    /// Ends when the stage has worked on a packet and not moved for `deadline`.
    pub async fn hangs(&self, clock: &Clock, deadline: Duration) {
        loop {
            let since = self.taken.until(|| self.hand().since).await;
            clock.sleep_until(Timestamp(since.0.saturating_add(deadline))).await;
            let since = self.hand().since;
            if since.is_some_and(|since| clock.now().since(since) >= deadline) {
                return;
            }
        }
    }

    /// The incarnation is over; the next one may act, and gets its packet with `retry`.
    pub fn begins_again(&self) {
        self.incarnation.fetch_add(1, Ordering::AcqRel);
        let mut hand = self.hand();
        hand.since = None;
        let was_full = std::mem::replace(&mut hand.is_full, false);
        match hand.packet.take() {
            Some(packet) => hand.again = Some(packet),
            // What it did not get to is still there for the next one.
            None if was_full => {
                self.n_lost.fetch_add(1, Ordering::Relaxed);
            }
            None => {}
        }
    }

    /// What the incarnation before had in hand, if it came from `port` or any port is asked for.
    pub fn again(&self, port: Option<usize>) -> Option<(usize, Packet)> {
        if !self.keep.retry {
            return None;
        }
        self.hand().again.take_if(|(from, _)| port.is_none_or(|port| port == *from))
    }
}
