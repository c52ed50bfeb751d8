//! When a stage that has ended is started again. Not how (`supervised.rs`).

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::Fault;
use crate::time::Timestamp;

/// After which ends a stage is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// Its failure ends the run.
    #[default]
    Never,
    /// It failed, panicked or hung.
    OnFailure,
    /// As `on-failure`; also a good end while the run goes on: its inputs are open, its output is read, nobody asked to stop.
    Always,
}

/// The key `restart` of a stage: one of the words of [`RestartWhen`], or a table of these keys.
///
/// A restart builds the stage anew from its keys. It keeps the stage's links with all that lies on them, its numbering of
/// packets, its counters and what the stage kept ([`crate::actor::Context::keep`]); it loses the rest of the stage's state and,
/// without `retry`, the packet in hand: the last one that it received, until it asks for the next.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartPolicy {
    /// `never`, `on-failure` or `always`.
    pub policy: RestartWhen,
    /// How long the first restart waits.
    pub backoff_ms: u64,
    /// How many times longer each further one waits, from 1.
    pub factor: f64,
    /// The longest that one waits.
    pub max_backoff_ms: u64,
    /// How many failures within `window_ms` are followed by a restart; one more ends the run.
    pub limit: u32,
    pub window_ms: u64,
    /// The packet in hand is given to the stage again. As many packets as an output had got for it are not sent to it a
    /// second time: so a stage that sends the same for the same packet loses and doubles nothing. A packet that always fails
    /// ends the run at the limit.
    pub retry: bool,
}

impl Default for RestartPolicy {
    /// Never; in a table otherwise: 100 ms, doubled up to 5 s, five times in a minute, without `retry`.
    fn default() -> Self {
        Self {
            policy: RestartWhen::Never,
            backoff_ms: 100,
            factor: 2.0,
            max_backoff_ms: 5_000,
            limit: 5,
            window_ms: 60_000,
            retry: false,
        }
    }
}

impl RestartPolicy {
    /// What the types do not say. Keys are relative to `restart`.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |is_right: bool, key: &str, message: String, accepted: &str| {
            if !is_right {
                faults.push(Fault::new(key, message, accepted));
            }
        };
        check(
            self.factor.is_finite() && self.factor >= 1.0,
            "factor",
            format!("is {}", self.factor),
            "a number from 1",
        );
        check(
            self.backoff_ms <= self.max_backoff_ms,
            "backoff_ms",
            format!("is {}, above max_backoff_ms", self.backoff_ms),
            &format!("at most {}", self.max_backoff_ms),
        );
        check(self.limit > 0, "limit", "is 0".to_owned(), "a whole number from 1");
        check(self.window_ms > 0, "window_ms", "is 0".to_owned(), "a whole number from 1");
        faults
    }

    fn backoff(&self, n_before: usize) -> Duration {
        let longer = self.factor.powi(i32::try_from(n_before).unwrap_or(i32::MAX));
        let ms = (self.backoff_ms as f64 * longer).min(self.max_backoff_ms as f64);
        Duration::from_secs_f64(ms / 1e3)
    }
}

/// The failures of a stage that still count.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<Timestamp>);

impl Failures {
    /// How long to wait for the restart after a failure now; `None` if there is none.
    pub fn next(&mut self, policy: &RestartPolicy, now: Timestamp) -> Option<Duration> {
        if policy.policy == RestartWhen::Never {
            return None;
        }
        let window = Duration::from_millis(policy.window_ms);
        self.0.retain(|failure| now.since(*failure) < window);
        if self.0.len() >= policy.limit as usize {
            return None;
        }
        self.0.push_back(now);
        Some(policy.backoff(self.0.len() - 1))
    }

    /// How long to wait for the restart after a good end.
    pub fn after_good_end(policy: &RestartPolicy) -> Duration {
        policy.backoff(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp(Duration::from_millis(ms))
    }

    #[test]
    fn each_restart_waits_longer_until_the_longest_and_the_window_forgets() {
        let policy = RestartPolicy {
            policy: RestartWhen::OnFailure,
            max_backoff_ms: 350,
            limit: 4,
            window_ms: 1000,
            ..RestartPolicy::default()
        };
        let mut failures = Failures::default();
        let waits = |failures: &mut Failures, times: &[u64]| -> Vec<Option<u64>> {
            let waits = times.iter().map(|time| failures.next(&policy, at(*time)));
            waits.map(|wait| wait.map(|wait| wait.as_millis() as u64)).collect()
        };
        assert_eq!(
            waits(&mut failures, &[0, 1, 2, 3, 999]),
            [Some(100), Some(200), Some(350), Some(350), None]
        );
        assert_eq!(waits(&mut failures, &[1001, 1002, 5000]), [Some(350), Some(350), Some(100)]);
    }

    #[test]
    fn never_is_never() {
        assert_eq!(Failures::default().next(&RestartPolicy::default(), at(0)), None);
    }
}
