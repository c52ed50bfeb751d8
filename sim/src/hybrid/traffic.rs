//! [`Traffic`]: what a mixed engine did on which side, and what went between them. Counted by the engine, read by the program
//! while it works.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Counters of a mixed engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    pub sim_operations: u64,
    /// Runs of operations on the real side; each is a submission.
    pub real_runs: u64,
    /// From the simulated side to the real one.
    pub sent_bytes: u64,
    /// From the real side to the simulated one.
    pub fetched_bytes: u64,
}

impl Traffic {
    /// `3120 operations simulated, 1560 runs on the real engine; 2.1 MiB sent to it, 1.9 MiB fetched`
    pub fn line(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "{} operations simulated, {} runs on the real engine; {:.1} MiB sent to it, {:.1} MiB fetched",
            self.sim_operations,
            self.real_runs,
            mib(self.sent_bytes),
            mib(self.fetched_bytes)
        )
    }
}

/// The counters, shared with whoever draws them.
#[derive(Clone, Debug, Default)]
pub struct TrafficHandle(Arc<Mutex<Traffic>>);

impl TrafficHandle {
    pub fn now(&self) -> Traffic {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, change: impl FnOnce(&mut Traffic)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
