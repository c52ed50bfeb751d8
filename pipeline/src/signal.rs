//! Waking tasks when a condition may have changed. Not a channel: it carries nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Tasks that wait for a condition; whoever changes what the condition reads calls [`Signal::notify`] afterwards.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    next_id: u64,
    wakers: Vec<(u64, Waker)>,
}

impl Signal {
    /// Wakes every task that waits.
    pub fn notify(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// Ends once `condition` gives something. It is asked at once, and after each [`Signal::notify`].
    pub fn until<T, F: FnMut() -> Option<T> + Unpin>(&self, condition: F) -> Until<'_, F> {
        Until {
            signal: self,
            condition,
            id: None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Until<'a, F> {
    signal: &'a Signal,
    condition: F,
    id: Option<u64>,
}

impl<T, F: FnMut() -> Option<T> + Unpin> Future for Until<'_, F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        if let Some(value) = (this.condition)() {
            return Poll::Ready(value);
        }
        {
            let mut waiters = this.signal.lock();
            let id = *this.id.get_or_insert_with(|| {
                waiters.next_id += 1;
                waiters.next_id
            });
            match waiters.wakers.iter_mut().find(|(other, _)| *other == id) {
                Some((_, waker)) => waker.clone_from(cx.waker()),
                None => waiters.wakers.push((id, cx.waker().clone())),
            }
        }
        // It may have changed between the first question and the registration.
        match (this.condition)() {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Until<'_, F> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.signal.lock().wakers.retain(|(other, _)| *other != id);
        }
    }
}

/// Lets other tasks run once.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
