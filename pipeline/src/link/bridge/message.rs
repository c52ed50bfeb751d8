//! What the halves of a bridge say to each other, and what carries it.

use std::future::Future;

use crate::error::{Closed, Error};
use crate::packet::Packet;
use crate::record::{In, Out, PictureCoder, packet_from_bytes, packet_to_bytes};
use crate::spawn::MaybeSend;

/// A message between the halves; packets are known by their `seq`.
#[derive(Clone, Debug)]
pub enum Message {
    /// To the far half: a packet for its reader. The next one comes when this one was taken or given up.
    Lent(Packet),
    /// To the far half: the packet is not for its reader any more.
    CallBack(u64),
    /// To the near half: the reader took it.
    Taken(u64),
    /// To the near half: the reader will not get it.
    GivenUp(u64),
    /// A turn began.
    Turn(u64),
    /// The turn was heard of: the next one may be told.
    TurnHeard,
    /// To the far half: nothing more comes.
    End,
    /// To the near half: the reader is gone.
    Gone,
}

/// Carries messages in their order. At most eight are ever on their way in one direction.
pub trait Transport: MaybeSend + 'static {
    /// Sends a message; never waits.
    ///
    /// Errors: [`Closed`] if the other half is gone.
    fn post(&mut self, message: Message) -> Result<(), Closed>;

    /// The next message of the other half; `None` if it is gone. May be asked again after the future was dropped.
    fn next(&mut self) -> impl Future<Output = Option<Message>> + MaybeSend;
}

/// The most messages that are on their way in one direction.
pub(super) const MAX_UNDER_WAY: usize = 8;

/// Carries bytes, as `postMessage` does. See [`AsBytes`].
pub trait BytePort: MaybeSend + 'static {
    /// Errors: [`Closed`] if the other half is gone.
    fn post(&mut self, bytes: Vec<u8>) -> Result<(), Closed>;

    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + MaybeSend;
}

/// A transport over bytes: for packets that can be such (no features).
pub struct AsBytes<P> {
    port: P,
    sent: PictureCoder,
    received: PictureCoder,
}

impl<P: BytePort> AsBytes<P> {
    pub fn new(port: P) -> Self {
        Self {
            port,
            sent: PictureCoder::default(),
            received: PictureCoder::default(),
        }
    }
}

impl<P: BytePort> Transport for AsBytes<P> {
    /// A packet that cannot be bytes closes the bridge: that it came here is a fault of the graph.
    fn post(&mut self, message: Message) -> Result<(), Closed> {
        let bytes = message.to_bytes(&mut self.sent).map_err(|error| {
            tracing::error!(%error, "a packet cannot cross the bridge");
            Closed
        })?;
        self.port.post(bytes)
    }

    async fn next(&mut self) -> Option<Message> {
        let bytes = self.port.next().await?;
        Message::from_bytes(&bytes, &mut self.received)
            .inspect_err(|error| tracing::error!(%error, "the bridge is broken"))
            .ok()
    }
}

impl Message {
    /// Errors: [`Error::NotBytes`].
    pub fn to_bytes(&self, pictures: &mut PictureCoder) -> Result<Vec<u8>, Error> {
        let mut out = Out::new();
        match self {
            Self::Lent(packet) => {
                let packet = packet_to_bytes(packet, pictures)?;
                out.u8(0).raw(&packet)
            }
            Self::CallBack(seq) => out.u8(1).number(*seq),
            Self::Taken(seq) => out.u8(2).number(*seq),
            Self::GivenUp(seq) => out.u8(3).number(*seq),
            Self::Turn(turn) => out.u8(4).number(*turn),
            Self::TurnHeard => out.u8(5),
            Self::End => out.u8(6),
            Self::Gone => out.u8(7),
        };
        Ok(out.0)
    }

    /// Errors: [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8], pictures: &mut PictureCoder) -> Result<Self, Error> {
        let mut bytes = In::new(bytes);
        let message = match bytes.u8()? {
            0 => Self::Lent(packet_from_bytes(bytes.rest(), pictures)?),
            1 => Self::CallBack(bytes.number()?),
            2 => Self::Taken(bytes.number()?),
            3 => Self::GivenUp(bytes.number()?),
            4 => Self::Turn(bytes.number()?),
            5 => Self::TurnHeard,
            6 => Self::End,
            7 => Self::Gone,
            _ => return Err(Error::Malformed { what: "no message" }),
        };
        bytes.end()?;
        Ok(message)
    }
}
