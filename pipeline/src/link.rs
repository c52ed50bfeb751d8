//! A bounded link from one stage's output to another's input, and what happens when it is full. Not which stages it joins
//! (`graph.rs`).

pub mod bridge;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::error::Closed;
use crate::packet::{Packet, PacketKind};
use crate::signal::Signal;
use crate::time::Clock;
use crate::turn::{HoldsTurns, Turn};

/// What a full link does with one more packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The sender waits until there is room.
    Wait,
    /// The oldest packet on the link is dropped.
    DropOldest,
    /// The packet that was to be sent is dropped.
    DropNewest,
    /// The link has one slot, and the newest packet replaces what lies there: for a state, of which the last says all. Nothing
    /// is lost by that, so it is no drop.
    Latest,
}

impl WhenFull {
    pub const ALL: [Self; 4] = [Self::Wait, Self::DropOldest, Self::DropNewest, Self::Latest];

    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
            Self::Latest => "latest",
        }
    }
}

/// The bound of a link, and what happens at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bound {
    /// The most packets that lie on the link.
    pub size: NonZeroUsize,
    pub when_full: WhenFull,
}

impl Bound {
    /// A link that keeps the latest has one slot, whatever `size` is.
    pub fn new(size: NonZeroUsize, when_full: WhenFull) -> Self {
        let size = match when_full {
            WhenFull::Latest => NonZeroUsize::MIN,
            _ => size,
        };
        Self { size, when_full }
    }

    /// What a link that carries `kinds` has if the configuration does not say: frames are only worth something while they
    /// are new, so two of them and the oldest goes; of everything else eight, and the sender waits.
    pub fn default_for(kinds: &[PacketKind]) -> Self {
        let (size, when_full) = match kinds.contains(&PacketKind::Frame) {
            true => (2, WhenFull::DropOldest),
            false => (8, WhenFull::Wait),
        };
        Self {
            size: NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN),
            when_full,
        }
    }
}

/// What has happened on a link so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LinkCounters {
    /// Packets that lay on the link at some time.
    pub sent: u64,
    pub received: u64,
    /// Packets that were dropped because the link was full.
    pub dropped: u64,
    /// Packets that a newer one replaced on a `latest` link.
    pub replaced: u64,
    /// Packets that were dropped because their turn was over.
    pub stale: u64,
    /// How long senders waited for room.
    pub waited: Duration,
    /// Packets that lie on the link now.
    pub depth: usize,
    pub max_depth: usize,
}

/// What a link is made with.
pub(crate) struct LinkParts {
    pub bound: Bound,
    pub turn: Turn,
    pub clock: Clock,
    /// Notified when there is something to read; the links into one stage share it.
    pub readable: Arc<Signal>,
}

/// Makes a link; it closes when either end is dropped.
pub(crate) fn link(parts: LinkParts) -> (Sender, Receiver) {
    let shared = Arc::new(Shared {
        bound: parts.bound,
        turn: parts.turn,
        clock: parts.clock,
        readable: parts.readable,
        writable: Signal::default(),
        state: Mutex::default(),
    });
    let weak: Weak<Shared> = Arc::downgrade(&shared);
    shared.turn.register(weak);
    (Sender { shared: shared.clone() }, Receiver { shared })
}

pub(crate) struct Sender {
    shared: Arc<Shared>,
}

pub(crate) struct Receiver {
    shared: Arc<Shared>,
}

/// Reads a link's counters without keeping it open.
#[derive(Clone)]
pub(crate) struct LinkMeter(Arc<Shared>);

struct Shared {
    bound: Bound,
    turn: Turn,
    clock: Clock,
    readable: Arc<Signal>,
    writable: Signal,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Packet>,
    sender_gone: bool,
    receiver_gone: bool,
    counters: LinkCounters,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on the link.
    Kept,
    /// It is on the link, and an older one no longer; or it is dropped itself.
    Dropped,
    /// Its turn is over.
    Stale,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the packet on the link; `None` if there is no room, and the packet is still the sender's.
    fn offer(&self, packet: &mut Option<Packet>) -> Result<Option<Sent>, Closed> {
        let size = self.bound.size.get();
        let mut sent = Sent::Kept;
        {
            let mut state = self.lock();
            if state.receiver_gone {
                return Err(Closed);
            }
            // Under the lock: a turn that ends after this finds the packet in the queue.
            if packet.as_ref().is_some_and(|packet| self.turn.is_stale(packet.turn)) {
                state.counters.stale += 1;
                *packet = None;
                return Ok(Some(Sent::Stale));
            }
            if state.queue.len() >= size {
                match self.bound.when_full {
                    WhenFull::Wait => return Ok(None),
                    WhenFull::DropOldest => {
                        state.queue.pop_front();
                        state.counters.dropped += 1;
                        sent = Sent::Dropped;
                    }
                    WhenFull::Latest => {
                        state.queue.pop_front();
                        state.counters.replaced += 1;
                        sent = Sent::Dropped;
                    }
                    WhenFull::DropNewest => {
                        state.counters.dropped += 1;
                        *packet = None;
                        return Ok(Some(Sent::Dropped));
                    }
                }
            }
            let Some(packet) = packet.take() else { return Ok(Some(sent)) };
            state.queue.push_back(packet);
            state.counters.sent += 1;
            state.counters.max_depth = state.counters.max_depth.max(state.queue.len());
        }
        self.readable.notify();
        Ok(Some(sent))
    }

    fn take(&self) -> Taken {
        let (taken, ended) = {
            let mut state = self.lock();
            let taken = loop {
                match state.queue.pop_front() {
                    Some(packet) if self.turn.is_stale(packet.turn) => state.counters.stale += 1,
                    Some(packet) => {
                        state.counters.received += 1;
                        break Taken::Packet(packet);
                    }
                    None if state.sender_gone => break Taken::Closed,
                    None => break Taken::Nothing,
                }
            };
            (taken, state.sender_gone && state.queue.is_empty())
        };
        if let Taken::Packet(_) = taken {
            self.writable.notify();
            // Who reads another input of the stage may wait for the end of this one.
            if ended {
                self.readable.notify();
            }
        }
        taken
    }
}

impl HoldsTurns for Shared {
    fn drop_older_than(&self, turn: u64) {
        {
            let mut state = self.lock();
            let before = state.queue.len();
            state.queue.retain(|packet| packet.turn >= turn);
            let stale = before - state.queue.len();
            state.counters.stale += stale as u64;
        }
        // A waiting sender may hold a packet of the old turn, or have room now; a closed link may have ended.
        self.writable.notify();
        self.readable.notify();
    }
}

/// What a look at a link gave.
pub(crate) enum Taken {
    Packet(Packet),
    /// Nothing lies there now.
    Nothing,
    /// Nothing lies there, and nothing will.
    Closed,
}

impl Sender {
    /// Puts a packet on the link, as its bound says when it is full.
    ///
    /// Errors: [`Closed`] if the receiver is gone.
    pub async fn send(&self, packet: Packet) -> Result<Sent, Closed> {
        let mut packet = Some(packet);
        if let Some(sent) = self.shared.offer(&mut packet)? {
            return Ok(sent);
        }
        let began = self.shared.clock.now();
        let sent = self
            .shared
            .writable
            .until(|| self.shared.offer(&mut packet).transpose())
            .await;
        let waited = self.shared.clock.now().since(began);
        self.shared.lock().counters.waited += waited;
        sent
    }

    /// Ends the link as if this were dropped: what lies on it still arrives.
    pub fn close(&self) {
        self.shared.lock().sender_gone = true;
        self.shared.readable.notify();
    }

    pub fn is_closed(&self) -> bool {
        self.shared.lock().receiver_gone
    }

    pub fn meter(&self) -> LinkMeter {
        LinkMeter(self.shared.clone())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.close();
    }
}

impl Receiver {
    /// The next packet if one lies there; never waits.
    pub fn take(&self) -> Taken {
        self.shared.take()
    }

    /// Whether the sender is gone and nothing lies on the link.
    pub fn is_ended(&self) -> bool {
        let state = self.shared.lock();
        state.sender_gone && state.queue.is_empty()
    }

    /// The next packet; `None` when the link is closed and drained.
    pub async fn recv(&self) -> Option<Packet> {
        let look = || match self.take() {
            Taken::Packet(packet) => Some(Some(packet)),
            Taken::Closed => Some(None),
            Taken::Nothing => None,
        };
        self.shared.readable.until(look).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
    }
}

impl Receiver {
    /// Ends the link as if this were dropped, and drops what lies on it.
    pub fn close(&self) {
        let left = {
            let mut state = self.shared.lock();
            state.receiver_gone = true;
            std::mem::take(&mut state.queue)
        };
        // Packets may own much: not under the lock.
        drop(left);
        self.shared.writable.notify();
    }
}

impl LinkMeter {
    pub fn counters(&self) -> LinkCounters {
        let state = self.0.lock();
        LinkCounters {
            depth: state.queue.len(),
            ..state.counters
        }
    }
}

#[cfg(test)]
mod tests;
