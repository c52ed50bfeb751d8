//! The stages that `qwglm bench pipeline` measures with: they do next to nothing, or take a stated time. Not for configurations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, Metric, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::time::Timestamp;
use serde::Deserialize;

use super::memory::resident_bytes;

/// What a sink saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub n_packets: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// When a tenth had arrived, and at the end.
    pub resident_bytes: Option<(u64, u64)>,
}

/// Shared by the sinks of a registry and whoever measures.
pub type Shared = Arc<Mutex<Seen>>;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SourceConfig {
    /// Packets; 0 is until the run stops.
    n: u64,
}

struct Source(SourceConfig);

impl Stage for Source {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut index = 0;
        while self.0.n == 0 || index < self.0.n {
            let body = Body::Metric(Metric {
                of: String::new(),
                name: "index",
                value: index as f64,
            });
            ctx.send(body, ctx.stamp()).await?;
            index += 1;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WorkConfig {
    /// How long a packet takes.
    work_ms: u64,
}

async fn work(config: WorkConfig, ctx: &Context) {
    if config.work_ms > 0 {
        ctx.clock().sleep(Duration::from_millis(config.work_ms)).await;
    }
}

struct Pass(WorkConfig);

impl Stage for Pass {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            work(self.0, &ctx).await;
            let stamp = packet.stamp();
            ctx.send(packet.body, stamp).await?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SinkConfig {
    work_ms: u64,
    /// How many packets will come, for the measure of memory.
    n: u64,
}

struct Sink {
    config: SinkConfig,
    shared: Shared,
}

impl Stage for Sink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut seen = Seen::default();
        let mut early = None;
        let work_ms = self.config.work_ms;
        while ctx.recv().await.is_some() {
            work(WorkConfig { work_ms }, &ctx).await;
            seen.n_packets += 1;
            if seen.n_packets == 1 {
                seen.first = ctx.now();
            }
            if seen.n_packets == self.config.n / 10 {
                early = resident_bytes();
            }
        }
        seen.last = ctx.now();
        seen.resident_bytes = early.zip(resident_bytes());
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }
}

/// `bench.source`, `bench.pass` and `bench.sink`; what the sink saw is in `shared` when it has ended.
pub fn registry(shared: &Shared) -> Registry {
    let kinds = [PacketKind::Metric];
    let mut registry = Registry::new();
    registry.add("bench.source", Factory::new(|config, _: &_| Ok(Source(config))).gives(&kinds));
    let pass = Factory::new(|config, _: &_| Ok(Pass(config)))
        .input("in", &kinds)
        .gives(&kinds);
    registry.add("bench.pass", pass);
    let shared = shared.clone();
    let sink = move |config: SinkConfig, _: &BuildContext<'_>| {
        Ok(Sink {
            config,
            shared: shared.clone(),
        })
    };
    registry.add("bench.sink", Factory::new(sink).input("in", &kinds));
    registry
}
