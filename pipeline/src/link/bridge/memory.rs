//! Transports in memory: between threads of one process. `postMessage` between workers is another [`super::Transport`].

use futures::StreamExt;
use futures::channel::mpsc;

use super::message::{AsBytes, BytePort, MAX_UNDER_WAY, Message, Transport};
use crate::error::Closed;

/// A direction each way.
struct Pipe<T> {
    to: mpsc::Sender<T>,
    from: mpsc::Receiver<T>,
}

fn pipes<T>() -> (Pipe<T>, Pipe<T>) {
    // A sender has one place of its own besides.
    let (near_to, far_from) = mpsc::channel(MAX_UNDER_WAY - 1);
    let (far_to, near_from) = mpsc::channel(MAX_UNDER_WAY - 1);
    let near = Pipe {
        to: near_to,
        from: near_from,
    };
    let far = Pipe {
        to: far_to,
        from: far_from,
    };
    (near, far)
}

impl<T> Pipe<T> {
    fn post(&mut self, message: T) -> Result<(), Closed> {
        self.to.try_send(message).map_err(|error| {
            if error.is_full() {
                tracing::error!("more messages are on their way than the halves of a bridge may send");
            }
            Closed
        })
    }
}

/// Messages by value: handles too can cross.
pub struct InMemory(Pipe<Message>);

impl InMemory {
    /// The near half's end and the far half's.
    pub fn pair() -> (Self, Self) {
        let (near, far) = pipes();
        (Self(near), Self(far))
    }
}

impl Transport for InMemory {
    fn post(&mut self, message: Message) -> Result<(), Closed> {
        self.0.post(message)
    }

    async fn next(&mut self) -> Option<Message> {
        self.0.from.next().await
    }
}

/// Bytes, as they would cross between workers.
pub struct InMemoryBytes(Pipe<Vec<u8>>);

impl InMemoryBytes {
    /// The near half's end and the far half's.
    pub fn pair() -> (AsBytes<Self>, AsBytes<Self>) {
        let (near, far) = pipes();
        (AsBytes::new(Self(near)), AsBytes::new(Self(far)))
    }
}

impl BytePort for InMemoryBytes {
    fn post(&mut self, bytes: Vec<u8>) -> Result<(), Closed> {
        self.0.post(bytes)
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.from.next().await
    }
}
