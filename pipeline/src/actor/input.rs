//! A stage's input: one or several links read as one. Not the links' bounds (`link.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::link::{Receiver, Taken};
use crate::packet::Packet;
use crate::record::{Ears, Next};
use crate::signal::Signal;
use crate::turn::Stop;

/// A link into a stage, as the stage reads it.
pub(crate) struct InputLink {
    pub port: usize,
    /// Its index in the graph.
    pub index: usize,
    pub receiver: Receiver,
    /// It closes a cycle: it never ends by itself, so the stage does not wait for its end.
    pub feedback: bool,
}

/// All links into a stage.
pub(crate) struct Links {
    links: Vec<InputLink>,
    readable: Arc<Signal>,
    stop: Stop,
    ears: Ears,
    /// Where the next look begins, so that no link starves the others.
    next: AtomicUsize,
}

pub(crate) enum Look {
    Packet(usize, Packet),
    Nothing,
    Ended,
}

impl Links {
    pub fn new(links: Vec<InputLink>, readable: Arc<Signal>, stop: Stop, ears: Ears) -> Self {
        stop.register(readable.clone());
        Self {
            links,
            readable,
            stop,
            ears,
            next: AtomicUsize::new(0),
        }
    }

    /// What lies on the links into `port`, or into any port.
    pub fn look(&self, port: Option<usize>) -> Look {
        if let Some(look) = self.look_in_order(port) {
            return look;
        }
        let n_links = self.links.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = false;
        for offset in 0..n_links {
            let link = &self.links[(first.wrapping_add(offset)) % n_links];
            if port.is_some_and(|port| port != link.port) {
                continue;
            }
            // What goes round in a cycle would go round for ever: once nothing new can come, it is left there.
            if link.feedback && self.all_forward_ended() {
                continue;
            }
            match link.receiver.take() {
                Taken::Packet(packet) => {
                    self.ears.took(link.index, packet.seq);
                    return Look::Packet(link.port, packet);
                }
                Taken::Nothing => open = true,
                Taken::Closed => {}
            }
        }
        if open { Look::Nothing } else { Look::Ended }
    }

    /// The same in the order of a recording; `None` if there is none, or it is through.
    fn look_in_order(&self, port: Option<usize>) -> Option<Look> {
        let order = self.ears.order.as_ref()?;
        let is_asked = |link: &InputLink| port.is_none_or(|port| port == link.port);
        loop {
            let next = match order.next() {
                Next::Any => return None,
                Next::End => return Some(Look::Ended),
                Next::Link(index) => self.links.iter().find(|link| link.index == index),
            };
            let Some(link) = next else {
                order.advance();
                continue;
            };
            if !is_asked(link) {
                let mut asked = self.links.iter().filter(|link| is_asked(link));
                let is_over = asked.all(|link| link.receiver.is_ended() && !order.expects(|index| index == link.index));
                return Some(if is_over { Look::Ended } else { Look::Nothing });
            }
            match link.receiver.take() {
                Taken::Packet(packet) => {
                    order.advance();
                    self.ears.took(link.index, packet.seq);
                    return Some(Look::Packet(link.port, packet));
                }
                Taken::Nothing => return Some(Look::Nothing),
                // It came in the recorded run, and cannot in this one.
                Taken::Closed => order.advance(),
            }
        }
    }

    /// Whether nothing more can come but over feedback.
    fn all_forward_ended(&self) -> bool {
        let mut forward = self.links.iter().filter(|link| !link.feedback).peekable();
        match forward.peek() {
            Some(_) => forward.all(|link| link.receiver.is_ended()),
            // A source with feedback.
            None => self.stop.is_asked(),
        }
    }

    /// Whether nothing more will come over links that are no feedback.
    pub fn is_ended(&self) -> bool {
        self.all_forward_ended()
    }

    /// Ends all links at this end; what lies on them is dropped.
    pub fn close(&self) {
        for link in &self.links {
            link.receiver.close();
        }
    }

    pub async fn recv(&self, port: Option<usize>) -> Option<(usize, Packet)> {
        let look = || match self.look(port) {
            Look::Packet(port, packet) => Some(Some((port, packet))),
            Look::Ended => Some(None),
            Look::Nothing => None,
        };
        self.readable.until(look).await
    }
}

/// One named input of a stage.
pub struct Input<'a> {
    pub(crate) context: &'a super::Context,
    pub(crate) port: usize,
}

impl Input<'_> {
    /// The next packet; `None` when every link into this input has ended. At once `None` if nothing is connected.
    pub async fn recv(&self) -> Option<Packet> {
        self.context.recv_from(Some(self.port)).await.map(|(_, packet)| packet)
    }

    /// The next packet if one lies there.
    pub fn try_recv(&self) -> Option<Packet> {
        self.context.try_recv_from(Some(self.port)).map(|(_, packet)| packet)
    }
}
