//! The run's time, real or virtual, and waiting for it. With `spawn.rs` the only place that knows the platform.

mod tracked;
mod virtual_time;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

// Tokio's clock stands still in tests that pause it; outside of them it is the system's.
#[cfg(not(target_arch = "wasm32"))]
use tokio::time::Instant;
#[cfg(target_arch = "wasm32")]
use web_time::Instant;

pub use tracked::Tracked;
pub use virtual_time::Busy;
use virtual_time::Virtual;

/// Time since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub Duration);

impl Timestamp {
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// In milliseconds, for the fields `pts_ms` of traces and logs.
    pub fn as_millis_f64(self) -> f64 {
        self.0.as_secs_f64() * 1e3
    }

    /// How much later this is than `earlier`; zero if it is not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where a run's timestamps come from. Clones read the same time.
///
/// Virtual time moves only when nobody is busy: then it jumps to the next timer, so that nothing ever sleeps. Busy are
///
/// - every [`Clock::track`]ed task, from when it is woken (by a packet, a timer, a reply) until it waits again; a run's stages
///   and its supervisor are tracked;
/// - every [`Busy`] guard: work on another thread takes one with [`Clock::busy`]. [`crate::spawn::blocking`] does it by itself
///   in a tracked task.
///
/// A test that sleeps on a virtual clock is best tracked too: time then stands while it looks at what has happened.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Real(Instant),
    Virtual(Arc<Virtual>),
}

impl Clock {
    /// A clock of real time that reads 0 now.
    #[expect(clippy::new_without_default, reason = "a clock that starts is not a default value")]
    pub fn new() -> Self {
        Self(Kind::Real(Instant::now()))
    }

    /// A clock of real time that read 0 so long ago, or as long as this thread's time goes back: so clocks of several workers
    /// read the same.
    pub fn new_since(ago: Duration) -> Self {
        let now = Instant::now();
        Self(Kind::Real(now.checked_sub(ago).unwrap_or(now)))
    }

    /// A clock of virtual time that reads 0.
    pub fn new_virtual() -> Self {
        Self(Kind::Virtual(Arc::default()))
    }

    /// The virtual clock of the tracked task that is being polled on this thread, if any.
    pub fn of_task() -> Option<Self> {
        tracked::current().map(|clock| Self(Kind::Virtual(clock)))
    }

    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual(_))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Real(start) => Timestamp(start.elapsed()),
            Kind::Virtual(clock) => clock.now(),
        }
    }

    /// Waits; in real time it natively needs a tokio runtime. Timers of one time end in the order in which they began.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::Real(_) => sleep_on_platform(duration).await,
            Kind::Virtual(clock) => {
                let until = Timestamp(clock.now().0.saturating_add(duration));
                virtual_time::Sleep::new(clock.clone(), until).await;
            }
        }
    }

    /// Waits until the clock reads `time`; at once if it is past.
    pub async fn sleep_until(&self, time: Timestamp) {
        let wait = time.since(self.now());
        if !wait.is_zero() {
            self.sleep(wait).await;
        }
    }

    /// Waits for work whose time is modelled, not measured: in virtual time that long, in real time not at all. Others go on
    /// meanwhile, and timers in between end in order. Not while the caller holds a [`Busy`] guard: time would stand.
    pub async fn charge(&self, modelled: Duration) {
        if self.is_virtual() {
            self.sleep(modelled).await;
        }
    }

    /// Puts virtual time forward at once, for callers that cannot wait; timers in between end late. Real time stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Kind::Virtual(clock) = &self.0 {
            clock.advance(by);
        }
    }

    /// Virtual time stands until the guard is dropped: for work that no tracked task waits for, or that runs on another
    /// thread. Take it before the work is handed over; drop it after its result is.
    pub fn busy(&self) -> Busy {
        match &self.0 {
            Kind::Real(_) => Busy::none(),
            Kind::Virtual(clock) => Busy::of(clock.clone()),
        }
    }

    /// `future` as a task of this clock: virtual time stands from when it is woken until it waits again, and until it is
    /// polled first. In real time it is `future` and nothing more.
    pub fn track<F: Future>(&self, future: F) -> Tracked<F> {
        match &self.0 {
            Kind::Real(_) => Tracked::untracked(future),
            Kind::Virtual(clock) => Tracked::new(clock.clone(), future),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn sleep_on_platform(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(target_arch = "wasm32")]
async fn sleep_on_platform(duration: Duration) {
    let ms = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    gloo_timers::future::TimeoutFuture::new(ms).await;
}

#[cfg(test)]
mod tests;
