//! [`Wakers`]: everybody who waits for the queue of a mixed engine, woken together.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// See the file's head.
#[derive(Debug, Default)]
pub struct Wakers(Mutex<Vec<Waker>>);

impl Wakers {
    pub fn add(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }
}
