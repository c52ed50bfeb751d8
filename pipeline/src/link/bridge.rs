//! A link whose ends are on two threads or in two workers: what joins them is a [`Transport`], which carries messages by value or
//! as bytes. Bound, policy, counters and turns are those of a plain link.
//!
//! The near half is at the sender: a plain link, which does all that a link does. Its foremost packet is *lent* to the far half,
//! where the reader finds it; it stays on the link, and counts, until the far half says that it was taken. If the link drops it
//! before (for a newer one, or because its turn is over) it is called back; the far half answers that it gave it up, or that it
//! was too late. So at most one packet is on its way or waits at the far end, and it is one of the link's bound.

mod far;
mod ferry;
mod memory;
mod message;
mod near;

pub(crate) use far::far_half;
pub use ferry::{Arrivals, Departures, Ferry};
pub use memory::{InMemory, InMemoryBytes};
pub use message::{AsBytes, BytePort, Message, Transport};
pub(crate) use near::near_half;

use super::{Bound, LinkParts, Receiver, Sender, WhenFull, link};
use crate::spawn;
use crate::turn::Turn;

/// A link over a transport in memory; its halves are tasks of the clock.
pub(crate) fn bridged_link(parts: LinkParts, (to_far, to_near): (impl Transport, impl Transport)) -> (Sender, Receiver) {
    let near = LinkParts {
        bound: parts.bound,
        turn: parts.turn.clone(),
        clock: parts.clock.clone(),
        readable: std::sync::Arc::default(),
    };
    (outward_link(near, to_far), inward_link(parts, to_near))
}

/// The sender's end of a link whose reader is in another part of the run.
pub(crate) fn outward_link(parts: LinkParts, transport: impl Transport) -> Sender {
    let (turn, clock) = (parts.turn.clone(), parts.clock.clone());
    let readable = std::sync::Arc::default();
    let (sender, lent) = link(LinkParts { readable, ..parts });
    let _runs_by_itself = spawn::spawn_tracked(&clock, near_half(lent, turn, transport));
    sender
}

/// The reader's end of a link whose sender is in another part of the run.
pub(crate) fn inward_link(parts: LinkParts, transport: impl Transport) -> Receiver {
    let (turn, clock) = (parts.turn.clone(), parts.clock.clone());
    let (letters, receiver) = link(mailbox(parts));
    let _runs_by_itself = spawn::spawn_tracked(&clock, far_half(letters, turn, transport));
    receiver
}

/// What the far half of such a link is made with: room for the packet that is lent.
fn mailbox(parts: LinkParts) -> LinkParts {
    LinkParts {
        bound: Bound::new(std::num::NonZeroUsize::MIN, WhenFull::Wait),
        ..parts
    }
}

/// Tells the other half of a turn that began here; one such message is on its way at a time.
struct TurnTeller {
    turn: Turn,
    told: u64,
    is_under_way: bool,
}

impl TurnTeller {
    fn new(turn: Turn) -> Self {
        Self {
            turn,
            // Turns that began before are told as well.
            told: 0,
            is_under_way: false,
        }
    }

    /// The message that is due.
    fn due(&mut self) -> Option<Message> {
        let current = self.turn.current();
        if self.is_under_way || current <= self.told {
            return None;
        }
        (self.told, self.is_under_way) = (current, true);
        Some(Message::Turn(current))
    }

    /// Waits until a message is due.
    async fn wait(&self) {
        match self.is_under_way {
            true => std::future::pending().await,
            false => self.turn.over(self.told).await,
        }
    }

    /// The other half has begun a turn.
    fn reach(&mut self, turn: u64) {
        self.turn.reach(turn);
        self.told = self.told.max(turn);
    }
}

#[cfg(test)]
mod tests;
