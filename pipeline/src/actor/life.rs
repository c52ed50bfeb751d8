//! What outlives a stage's restarts: which incarnation may act, what it has in hand and has sent for it, what it keeps, when
//! it last moved.

mod sends;

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::packet::Packet;
use crate::signal::Signal;
use crate::time::{Clock, Timestamp};
pub(crate) use sends::Sends;

/// What is kept of a stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    /// It may be started again.
    pub restarts: bool,
    /// The packet in hand is for the next incarnation.
    pub retry: bool,
    /// Since when it has not moved.
    pub watch: bool,
    /// It has nothing in hand: what it sends follows from what it keeps.
    pub is_source: bool,
}

impl Keep {
    /// What is sent for a packet, or after what is kept, may be sent once more and must not arrive twice.
    fn counts_sends(self) -> bool {
        self.restarts && (self.retry || self.is_source)
    }
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
    /// What was sent for the packet in hand; by a source since it last kept something.
    sends: Sends,
    /// What the incarnation before had in hand.
    again: Option<Again>,
    /// The last sign of life, while the stage is at work.
    since: Option<Timestamp>,
    kept: Option<Arc<dyn Any + Send + Sync>>,
}

struct Again {
    port: usize,
    packet: Packet,
    sends: Sends,
}

/// A packet on its way out: its number, and which one it is of those that are sent for the packet in hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub seq: u64,
    /// An incarnation before was about to send it, or did.
    pub is_again: bool,
    nth: Option<u64>,
}

impl Life {
    pub fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Packets that failed incarnations had in hand and that nobody gets again.
    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }

    // Sending

    /// Numbers the packet that is to be sent; one that is sent again has the number that it had.
    pub fn sends(&self) -> Sending {
        if !self.keep.counts_sends() {
            let seq = self.seq.fetch_add(1, Ordering::Relaxed);
            return Sending {
                seq,
                is_again: false,
                nth: None,
            };
        }
        let (seq, nth) = self.hand().sends.next();
        let before = self.seq.fetch_max(seq + 1, Ordering::Relaxed);
        Sending {
            seq,
            is_again: seq < before,
            nth: Some(nth),
        }
    }

    /// Whether an incarnation before got that packet through to the output.
    pub fn is_through(&self, sending: Sending, output: usize) -> bool {
        sending.nth.is_some_and(|nth| self.hand().sends.is_through(nth, output))
    }

    /// The packet got through to the output.
    pub fn gets_through(&self, sending: Sending, output: usize) {
        if let Some(nth) = sending.nth {
            self.hand().sends.gets_through(nth, output);
        }
    }

    fn fresh_sends(&self) -> Sends {
        Sends::from(self.seq.load(Ordering::Relaxed))
    }

    // The packet in hand

    /// The stage has a packet in hand; `again` are the sends of an incarnation before that had it.
    pub fn takes(&self, port: usize, packet: &Packet, again: Option<Sends>, now: Timestamp) {
        let old = {
            let mut hand = self.hand();
            hand.is_full = true;
            hand.since = self.keep.watch.then_some(now);
            if self.keep.counts_sends() && !self.keep.is_source {
                hand.sends = again.unwrap_or_else(|| self.fresh_sends());
            }
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
    pub fn lets_go(&self, incarnation: u64) {
        let old = {
            let mut hand = self.hand();
            if incarnation != self.incarnation() {
                return;
            }
            self.empty(&mut hand)
        };
        // It may own much: not under the lock.
        drop(old);
    }

    fn empty(&self, hand: &mut Hand) -> Option<(usize, Packet)> {
        hand.is_full = false;
        if self.keep.counts_sends() && !self.keep.is_source {
            hand.sends = self.fresh_sends();
        }
        hand.packet.take()
    }

    /// What the next incarnation begins with; with `done` the stage is through with its packet as well.
    pub fn keeps(&self, incarnation: u64, state: Arc<dyn Any + Send + Sync>, done: bool) {
        let old = {
            let mut hand = self.hand();
            if incarnation != self.incarnation() {
                return;
            }
            if self.keep.counts_sends() {
                hand.sends = self.fresh_sends();
            }
            let packet = if done { self.empty(&mut hand) } else { None };
            let kept = match self.keep.restarts {
                true => hand.kept.replace(state),
                false => None,
            };
            (packet, kept)
        };
        drop(old);
    }

    pub fn kept(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.hand().kept.clone()
    }

    // Signs of life

    /// The stage waits for a packet, for room or for a time: that it stands still is not its fault.
    pub fn waits(&self) {
        if self.keep.watch {
            self.hand().since = None;
        }
    }

    /// The stage begins, or goes on after a wait: it is at work.
    pub fn goes_on(&self, now: Timestamp) {
        if self.keep.watch {
            self.hand().since = Some(now);
            self.taken.notify();
        }
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

    /// Ends when the stage has been at work and not moved for `deadline`.
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

    // Restarts

    /// The incarnation is over; the next one may act, gets its packet with `retry`, and what was kept.
    pub fn begins_again(&self) {
        let mut hand = self.hand();
        self.incarnation.fetch_add(1, Ordering::AcqRel);
        hand.since = None;
        let was_full = std::mem::replace(&mut hand.is_full, false);
        let fresh = self.fresh_sends();
        let mut sends = std::mem::replace(&mut hand.sends, fresh);
        sends.begin_again();
        match hand.packet.take() {
            Some((port, packet)) => hand.again = Some(Again { port, packet, sends }),
            // It sends on from what it kept.
            None if self.keep.is_source && hand.kept.is_some() => hand.sends = sends,
            // What it did not get to is still there for the next one.
            None if was_full => {
                self.n_lost.fetch_add(1, Ordering::Relaxed);
            }
            None => {}
        }
    }

    /// The incarnation ended well: the next one, if there is one, begins from nothing.
    pub fn ended_well(&self) {
        let mut hand = self.hand();
        let old = (self.empty(&mut hand), hand.kept.take());
        drop(hand);
        drop(old);
    }

    /// What the incarnation before had in hand, if it came from `port` or any port is asked for.
    pub fn again(&self, port: Option<usize>) -> Option<(usize, Packet, Sends)> {
        if !self.keep.retry {
            return None;
        }
        let again = self
            .hand()
            .again
            .take_if(|again| port.is_none_or(|port| port == again.port))?;
        Some((again.port, again.packet, again.sends))
    }
}
