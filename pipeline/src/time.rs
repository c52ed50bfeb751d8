//! The run's time, and waiting for it. With `spawn.rs` the only place that knows the platform.

use std::time::Duration;

// Tokio's clock stands still in tests that pause it; outside of them it is the system's.
#[cfg(not(target_arch = "wasm32"))]
use tokio::time::Instant;
#[cfg(target_arch = "wasm32")]
use web_time::Instant;

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

/// Where a run's timestamps come from. Copies read the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that reads 0 now.
    #[expect(clippy::new_without_default, reason = "a clock that starts is not a default value")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.start.elapsed())
    }

    /// Waits; natively it needs a tokio runtime.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    #[cfg(target_arch = "wasm32")]
    pub async fn sleep(&self, duration: Duration) {
        let ms = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        gloo_timers::future::TimeoutFuture::new(ms).await;
    }

    /// Waits until the clock reads `time`; at once if it is past.
    pub async fn sleep_until(&self, time: Timestamp) {
        let wait = time.since(self.now());
        if !wait.is_zero() {
            self.sleep(wait).await;
        }
    }
}
