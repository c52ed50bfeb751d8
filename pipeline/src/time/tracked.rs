//! Tasks that virtual time waits for. Not how it moves (`virtual_time.rs`).

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::virtual_time::Virtual;

thread_local! {
    /// The clock of the task that this thread polls.
    static CURRENT: RefCell<Option<Arc<Virtual>>> = const { RefCell::new(None) };
}

pub(super) fn current() -> Option<Arc<Virtual>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Puts the clock of the task before back, however the poll ends.
struct Polling(Option<Arc<Virtual>>);

impl Polling {
    fn begin(clock: &Arc<Virtual>) -> Self {
        Self(CURRENT.replace(Some(clock.clone())))
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// A future as a task of a clock. See [`super::Clock::track`].
pub struct Tracked<F> {
    /// `None` once it is dropped, which may itself wake others.
    future: Option<Pin<Box<F>>>,
    node: Option<Arc<Node>>,
}

/// A task as its wakers know it.
struct Node {
    clock: Arc<Virtual>,
    state: Mutex<State>,
}

struct State {
    /// It counts as one that is busy.
    is_busy: bool,
    /// Since the last poll began.
    is_woken: bool,
    is_over: bool,
    /// Of whoever polls the task.
    waker: Option<Waker>,
}

impl<F> Tracked<F> {
    pub(super) fn untracked(future: F) -> Self {
        Self {
            future: Some(Box::pin(future)),
            node: None,
        }
    }

    pub(super) fn new(clock: Arc<Virtual>, future: F) -> Self {
        clock.begin();
        let state = State {
            is_busy: true,
            is_woken: true,
            is_over: false,
            waker: None,
        };
        let state = Mutex::new(state);
        Self {
            future: Some(Box::pin(future)),
            node: Some(Arc::new(Node { clock, state })),
        }
    }
}

impl Node {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, waker: &Waker) {
        let mut state = self.lock();
        state.is_woken = false;
        state.waker = Some(waker.clone());
        // A neighbour's waker may have had it polled.
        if !std::mem::replace(&mut state.is_busy, true) {
            self.clock.begin();
        }
    }

    /// The task waits or, with `is_over`, has ended.
    fn end(&self, is_over: bool) {
        let was_busy = {
            let mut state = self.lock();
            state.is_over |= is_over;
            let goes_on = state.is_woken && !state.is_over;
            !goes_on && std::mem::replace(&mut state.is_busy, false)
        };
        if was_busy {
            self.clock.end();
        }
    }
}

impl Wake for Node {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = {
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            state.is_woken = true;
            if !std::mem::replace(&mut state.is_busy, true) {
                self.clock.begin();
            }
            state.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Pending;
        };
        let Some(node) = &this.node else {
            return future.as_mut().poll(cx);
        };
        node.begin(cx.waker());
        let polled = {
            let _polling = Polling::begin(&node.clock);
            let waker = Waker::from(node.clone());
            future.as_mut().poll(&mut Context::from_waker(&waker))
        };
        if polled.is_ready() {
            // What it owns may close links, and so wake others: before time may move.
            this.future = None;
        }
        node.end(polled.is_ready());
        polled
    }
}

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        if let Some(node) = &self.node {
            self.future = None;
            node.end(true);
        }
    }
}
