//! A look into a stage at work, and a hand in it, for tests that make real stages fail. Not for stages.

use std::sync::Arc;

use super::Context;
use crate::packet::Packet;

/// A moment of a stage at which it may be told to stand still or to panic.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// It asks for its next packet, and still has the one before in hand, unless it said that it is through with it.
    Asks,
    /// It has that packet in hand and has done nothing about it.
    Received(&'a Packet),
    /// It is about to send that packet.
    Sends(&'a Packet),
    /// The packet reached everybody who reads it, but the stage does not know yet.
    Sent(&'a Packet),
}

/// What is told of each moment of a stage: see [`Context::probed`].
pub trait Probe: Send + Sync {
    /// Whether the stage goes on; it never does after `false`. It may panic, and the stage does with it.
    fn at(&self, moment: Moment<'_>) -> bool;
}

impl Context {
    /// The same context, whose moments are told to `probe`. A test wraps a stage (see [`crate::registry::Registry::wrap`])
    /// and runs the stage inside with this.
    pub fn probed(mut self, probe: Arc<dyn Probe>) -> Self {
        self.probe = Some(probe);
        self
    }

    pub(super) async fn tell(&self, moment: Moment<'_>) {
        let goes_on = self.probe.as_ref().is_none_or(|probe| probe.at(moment));
        if !goes_on {
            std::future::pending::<()>().await;
        }
    }
}
