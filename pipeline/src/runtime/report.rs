//! What a run did: counters of its links and stages.

use std::time::Duration;

use crate::link::{Bound, LinkCounters};
use crate::packet::Metric;

/// The counters of a whole run, or of a run so far.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    pub elapsed: Duration,
    pub links: Vec<LinkReport>,
    pub stages: Vec<StageReport>,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct LinkReport {
    /// `from -> to`
    pub name: String,
    pub bound: Bound,
    pub counters: LinkCounters,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct StageReport {
    pub name: String,
    pub type_name: String,
    pub received: u64,
    pub sent: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// Packets that it had in hand when it failed, and that nobody got again.
    pub lost: u64,
    /// How long it did not wait for packets or for room.
    pub busy: Duration,
}

impl Report {
    pub fn link(&self, name: &str) -> Option<&LinkReport> {
        self.links.iter().find(|link| link.name == name)
    }

    pub fn stage(&self, name: &str) -> Option<&StageReport> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// The counters as packets for subscribers.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        let metric = |of: &str, name, value| Metric {
            of: of.to_owned(),
            name,
            value,
        };
        let mut metrics = Vec::new();
        for LinkReport { name, counters, .. } in &self.links {
            metrics.push(metric(name, "sent", counters.sent as f64));
            metrics.push(metric(name, "dropped", counters.dropped as f64));
            metrics.push(metric(name, "replaced", counters.replaced as f64));
            metrics.push(metric(name, "stale", counters.stale as f64));
            metrics.push(metric(name, "depth", counters.depth as f64));
            metrics.push(metric(name, "waited_us", micros(counters.waited)));
        }
        for stage in &self.stages {
            metrics.push(metric(&stage.name, "received", stage.received as f64));
            metrics.push(metric(&stage.name, "sent", stage.sent as f64));
            metrics.push(metric(&stage.name, "restarts", stage.restarts as f64));
            metrics.push(metric(&stage.name, "lost", stage.lost as f64));
            metrics.push(metric(&stage.name, "busy_us", micros(stage.busy)));
        }
        metrics
    }
}
