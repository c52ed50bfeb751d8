//! The half of a bridge at the sender: lends the foremost packet of a plain link.

use futures::future::{Either, select};

use super::TurnTeller;
use super::message::{Message, Transport};
use crate::error::Closed;
use crate::link::{Receiver, WhenFull};
use crate::packet::Packet;
use crate::turn::Turn;

/// What the far half has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lent {
    Nothing,
    Packet(Loan),
    /// It was called back, and the answer is awaited.
    CalledBack(Loan),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loan {
    seq: u64,
    turn: u64,
}

/// The foremost packet of a link, which stays there.
enum Front {
    Packet(Packet),
    Nothing,
    /// Nothing lies there, and nothing will.
    Closed,
}

impl Receiver {
    fn front(&self) -> Front {
        let state = self.shared.lock();
        match state.queue.front() {
            Some(packet) => Front::Packet(packet.clone()),
            None if state.sender_gone => Front::Closed,
            None => Front::Nothing,
        }
    }

    fn is_front(&self, loan: Loan) -> bool {
        self.shared.lock().queue.front().is_some_and(|packet| packet.seq == loan.seq)
    }

    /// The packet that was lent has been taken. If the link dropped it meanwhile, then it did not.
    fn taken(&self, loan: Loan) {
        let packet = {
            let mut state = self.shared.lock();
            state.counters.received += 1;
            let is_front = state.queue.front().is_some_and(|packet| packet.seq == loan.seq);
            if !is_front {
                let counters = &mut state.counters;
                let counted = match self.shared.bound.when_full {
                    _ if self.shared.turn.is_stale(loan.turn) => &mut counters.stale,
                    WhenFull::Latest => &mut counters.replaced,
                    _ => &mut counters.dropped,
                };
                *counted = counted.saturating_sub(1);
            }
            if is_front { state.queue.pop_front() } else { None }
        };
        // It may own much: not under the lock.
        drop(packet);
        self.shared.writable.notify();
    }
}

/// Serves a link until it has ended or its reader is gone.
pub(crate) async fn near_half(link: Receiver, turn: Turn, mut transport: impl Transport) {
    let mut teller = TurnTeller::new(turn);
    let mut lent = Lent::Nothing;
    // That the transport is closed is told by its next message.
    while let Ok(Some(now)) = offer(&link, lent, &mut teller, &mut transport) {
        lent = now;
        let changed = link.shared.readable.until(|| has_changed(&link, lent).then_some(()));
        let message = {
            let next = std::pin::pin!(transport.next());
            let (changed, turned) = (std::pin::pin!(changed), std::pin::pin!(teller.wait()));
            let here = select(changed, turned);
            match select(next, here).await {
                Either::Left((message, _)) => message,
                Either::Right(_) => continue,
            }
        };
        let loan = match lent {
            Lent::Packet(loan) | Lent::CalledBack(loan) => Some(loan),
            Lent::Nothing => None,
        };
        match (message, loan) {
            (Some(Message::Taken(seq)), Some(loan)) if seq == loan.seq => {
                link.taken(loan);
                lent = Lent::Nothing;
            }
            (Some(Message::GivenUp(seq)), Some(loan)) if seq == loan.seq => lent = Lent::Nothing,
            (message, _) if hear_turn(&message, &mut teller, &mut transport) => {}
            _ => break,
        }
    }
    link.close();
}

/// Lends the next packet, calls one back, tells of a turn; `None` at the link's end.
fn offer(link: &Receiver, lent: Lent, teller: &mut TurnTeller, transport: &mut impl Transport) -> Result<Option<Lent>, Closed> {
    if let Some(message) = teller.due() {
        transport.post(message)?;
    }
    Ok(Some(match lent {
        Lent::Nothing => match link.front() {
            Front::Packet(packet) => {
                let loan = Loan {
                    seq: packet.seq,
                    turn: packet.turn,
                };
                transport.post(Message::Lent(packet))?;
                Lent::Packet(loan)
            }
            Front::Nothing => Lent::Nothing,
            Front::Closed => {
                transport.post(Message::End)?;
                return Ok(None);
            }
        },
        Lent::Packet(loan) if !link.is_front(loan) => {
            transport.post(Message::CallBack(loan.seq))?;
            Lent::CalledBack(loan)
        }
        lent => lent,
    }))
}

/// Whether [`offer`] has something to do about the link.
fn has_changed(link: &Receiver, lent: Lent) -> bool {
    match lent {
        Lent::Nothing => !matches!(link.front(), Front::Nothing),
        Lent::Packet(loan) => !link.is_front(loan),
        Lent::CalledBack(_) => false,
    }
}

/// Whether the other half goes on.
fn hear_turn(message: &Option<Message>, teller: &mut TurnTeller, transport: &mut impl Transport) -> bool {
    match message {
        Some(Message::Turn(turn)) => {
            teller.reach(*turn);
            transport.post(Message::TurnHeard).is_ok()
        }
        Some(Message::TurnHeard) => {
            teller.is_under_way = false;
            true
        }
        Some(Message::Gone) | None => false,
        // An answer about a packet that it has answered for before.
        Some(_) => true,
    }
}
