//! What carries all bridges between two parts of a run: bytes with the number of their link, over whatever joins the two
//! (`postMessage` between workers).

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::channel::mpsc;

use super::message::{AsBytes, BytePort, MAX_UNDER_WAY};
use crate::error::Closed;

/// Bytes for the other part, and the index of their link in the graph.
type Parcel = (usize, Vec<u8>);

/// The run's side. Each link has its port once.
#[derive(Clone)]
pub struct Ferry(Arc<Mutex<Vec<Option<FerryPort>>>>);

/// What goes to the other part. When it is dropped, all bridges have ended.
pub struct Departures(mpsc::Receiver<Parcel>);

/// Where what comes from the other part goes. When it is dropped, all bridges have ended.
pub struct Arrivals(Vec<mpsc::Sender<Vec<u8>>>);

/// One link's end.
pub struct FerryPort {
    link: usize,
    to: mpsc::Sender<Parcel>,
    from: mpsc::Receiver<Vec<u8>>,
}

impl Ferry {
    /// For a graph of `n_links`.
    pub fn new(n_links: usize) -> (Self, Departures, Arrivals) {
        // Every sender has a place of its own besides, and each link has one sender.
        let (outward, departures) = mpsc::channel(n_links * MAX_UNDER_WAY);
        let (to, ports) = (0..n_links)
            .map(|link| {
                let (to_port, from) = mpsc::channel(MAX_UNDER_WAY - 1);
                let to = outward.clone();
                (to_port, Some(FerryPort { link, to, from }))
            })
            .unzip();
        (Self(Arc::new(Mutex::new(ports))), Departures(departures), Arrivals(to))
    }

    /// The end of a link, the first time that it is asked for.
    pub(crate) fn take(&self, link: usize) -> Option<AsBytes<FerryPort>> {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ports.get_mut(link).and_then(Option::take).map(AsBytes::new)
    }

    /// Lets go of the ends that nobody took.
    pub(crate) fn settle(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Departures {
    /// The index of a link, and bytes; `None` when all bridges have ended.
    pub async fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        self.0.next().await
    }
}

impl Arrivals {
    /// Bytes of the other part. What is for a bridge that has ended is forgotten.
    ///
    /// Errors: [`Closed`] if more came than the halves of a bridge send, or for no link.
    pub fn land(&mut self, link: usize, bytes: Vec<u8>) -> Result<(), Closed> {
        match self.0.get_mut(link).ok_or(Closed)?.try_send(bytes) {
            Err(error) if error.is_full() => Err(Closed),
            _ => Ok(()),
        }
    }
}

impl BytePort for FerryPort {
    fn post(&mut self, bytes: Vec<u8>) -> Result<(), Closed> {
        self.to.try_send((self.link, bytes)).map_err(|_| Closed)
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        self.from.next().await
    }
}
