//! The half of a bridge at the reader: puts what is lent into a link of one place, and says what becomes of it.

use futures::FutureExt;
use futures::future::{Either, select};

use super::TurnTeller;
use super::message::{Message, Transport};
use crate::error::Closed;
use crate::link::{Sender, Sent};
use crate::turn::Turn;

impl Sender {
    /// Takes back what lies on the link.
    fn take_back(&self, seq: u64) -> bool {
        let packet = {
            let mut state = self.shared.lock();
            match state.queue.front() {
                Some(packet) if packet.seq == seq => state.queue.pop_front(),
                _ => None,
            }
        };
        packet.is_some()
    }

    /// Packets that were taken so far; `None` while one lies there.
    fn n_taken_if_empty(&self) -> Option<u64> {
        let state = self.shared.lock();
        state.queue.is_empty().then_some(state.counters.received)
    }
}

/// A packet in the reader's mailbox, and how many were taken before it.
#[derive(Clone, Copy)]
struct Held {
    seq: u64,
    n_taken: u64,
}

/// Serves a reader until nothing more comes or it is gone.
pub(crate) async fn far_half(mailbox: Sender, turn: Turn, mut transport: impl Transport) {
    let mut far = Far {
        mailbox,
        teller: TurnTeller::new(turn),
        held: None,
    };
    while let Ok(true) = far.step(&mut transport).await {}
    far.mailbox.close();
}

struct Far {
    mailbox: Sender,
    teller: TurnTeller,
    held: Option<Held>,
}

impl Far {
    /// Waits for something and answers it; `false` at the end.
    ///
    /// Errors: [`Closed`] if the other half is gone.
    async fn step(&mut self, transport: &mut impl Transport) -> Result<bool, Closed> {
        if let Some(message) = self.teller.due() {
            transport.post(message)?;
        }
        let message = {
            let next = std::pin::pin!(transport.next());
            let (mailbox, held) = (&self.mailbox, self.held);
            let changed = mailbox.shared.writable.until(|| {
                let is_empty = held.is_some() && mailbox.n_taken_if_empty().is_some();
                (is_empty || mailbox.is_closed()).then_some(())
            });
            let (changed, turned) = (std::pin::pin!(changed), std::pin::pin!(self.teller.wait()));
            let here = select(changed, turned);
            match select(next, here).await {
                Either::Left((message, _)) => Some(message),
                Either::Right(_) => None,
            }
        };
        // What the reader did comes first: a message may ask about it.
        self.answer_for_held(transport)?;
        if self.mailbox.is_closed() {
            transport.post(Message::Gone)?;
            return Ok(false);
        }
        match message {
            None => {}
            Some(None | Some(Message::End)) => return Ok(false),
            Some(Some(Message::Lent(packet))) => {
                let (seq, n_taken) = (packet.seq, self.mailbox.n_taken_if_empty().unwrap_or_default());
                match self.mailbox.send(packet).now_or_never() {
                    Some(Ok(Sent::Kept)) => self.held = Some(Held { seq, n_taken }),
                    // Its turn is over here, and the other half may not know.
                    _ => self.give_up(seq, transport)?,
                }
            }
            Some(Some(Message::CallBack(seq))) => {
                if self.held.is_some_and(|held| held.seq == seq) && self.mailbox.take_back(seq) {
                    self.held = None;
                    transport.post(Message::GivenUp(seq))?;
                } else {
                    self.answer_for_held(transport)?;
                }
            }
            Some(Some(Message::Turn(turn))) => {
                self.teller.reach(turn);
                transport.post(Message::TurnHeard)?;
            }
            Some(Some(Message::TurnHeard)) => self.teller.is_under_way = false,
            Some(Some(Message::Taken(_) | Message::GivenUp(_) | Message::Gone)) => {}
        }
        Ok(true)
    }

    /// Says what became of the packet in the mailbox, if it is not there any more.
    fn answer_for_held(&mut self, transport: &mut impl Transport) -> Result<(), Closed> {
        let Some(held) = self.held else { return Ok(()) };
        let Some(n_taken) = self.mailbox.n_taken_if_empty() else {
            return Ok(());
        };
        self.held = None;
        match n_taken > held.n_taken {
            true => transport.post(Message::Taken(held.seq)),
            false => self.give_up(held.seq, transport),
        }
    }

    fn give_up(&mut self, seq: u64, transport: &mut impl Transport) -> Result<(), Closed> {
        if let Some(message) = self.teller.due() {
            transport.post(message)?;
        }
        transport.post(Message::GivenUp(seq))
    }
}
