//! `qwglm bench pipeline`: what the runtime itself costs. The cost of a packet a hop, memory over many packets, whether stages
//! overlap, how long a full graph takes to stop. No models.

use std::fmt::Write;
use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pipeline::graph::Graph;
use pipeline::runtime::{Run, RunOptions};

use super::median;
use super::stages::{Seen, Shared, registry};

/// A source, three stages that pass packets on, a sink.
const N_STAGES: usize = 5;
/// How long a packet takes in each stage of the measure of overlap, and how many go through.
const WORK: Duration = Duration::from_millis(10);
const N_WORKED: u64 = 100;
/// What a full graph has to stop in.
const DEADLINE: Duration = Duration::from_secs(2);
/// How often the runs' counters go to a subscriber.
const METRICS_EVERY: Duration = Duration::from_millis(100);

/// What was measured.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    #[serde(rename = "type")]
    kind: &'static str,
    bench: &'static str,
    /// Of one run.
    packets: u64,
    stages: usize,
    /// The median of the runs; metrics on, one thread.
    ns_per_hop: f64,
    ns_per_hop_runs: Vec<f64>,
    packets_per_s: f64,
    /// In the last run, when a tenth had arrived and at the end; `null` where it cannot be measured.
    resident_before_bytes: Option<u64>,
    resident_after_bytes: Option<u64>,
    /// Three stages in a row that take this long, and how often a packet came out of the last.
    stage_ms: f64,
    interval_ms: f64,
    /// From the stop of a graph whose links are all full until all its stages have ended.
    shutdown_ms: f64,
    shutdown_deadline_ms: f64,
    cores: usize,
    profile: &'static str,
}

/// Runs everything; `runs` times what is short.
///
/// Errors: a run that failed, or that lost packets.
pub async fn measure(packets: u64, runs: u32) -> Result<Measured> {
    let mut ns_per_hop_runs = Vec::new();
    let mut resident = None;
    // The first run warms up.
    for run in 0..=runs {
        let seen = on_one_thread(move || hops(packets)).await?;
        let elapsed = seen.last.since(seen.first).as_secs_f64();
        if run > 0 {
            ns_per_hop_runs.push(elapsed * 1e9 / (packets as f64 * (N_STAGES - 1) as f64));
        }
        resident = seen.resident_bytes;
    }
    let ns_per_hop = median(&ns_per_hop_runs);
    let interval = on_one_thread(interval).await?;
    let shutdown = on_one_thread(shutdown).await?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Measured {
        kind: "bench",
        bench: "pipeline",
        packets,
        stages: N_STAGES,
        ns_per_hop,
        ns_per_hop_runs,
        packets_per_s: 1e9 / (ns_per_hop * (N_STAGES - 1) as f64),
        resident_before_bytes: resident.map(|(before, _)| before),
        resident_after_bytes: resident.map(|(_, after)| after),
        stage_ms: ms(WORK),
        interval_ms: ms(interval),
        shutdown_ms: ms(shutdown),
        shutdown_deadline_ms: ms(DEADLINE),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}

/// Runs `work` on a thread of its own with a runtime of one thread.
async fn on_one_thread<T, Fut>(work: impl FnOnce() -> Fut + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T>>,
{
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.context("a thread cannot be started")?.block_on(work())
    };
    tokio::task::spawn_blocking(body).await.context("the benchmark panicked")?
}

/// A source of `n` packets, `n_pass` stages of `work_ms`, a sink.
fn chain(n: u64, n_pass: usize, keys: &str, sink: &str) -> String {
    let mut text = format!("[stage.s0]\ntype = \"bench.source\"\nn = {n}\n");
    for index in 1..=n_pass {
        let from = index - 1;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "[stage.s{index}]\ntype = \"bench.pass\"\ninput = \"s{from}\"\n{keys}");
    }
    let _ = writeln!(text, "[stage.sink]\ntype = \"bench.sink\"\ninput = \"s{n_pass}\"\n{sink}");
    text
}

/// Starts a graph with metrics on, and hears them.
fn start(text: &str, shared: &Shared) -> Result<Run> {
    let registry = registry(shared);
    let graph = Graph::from_toml(text, &registry)?;
    let options = RunOptions {
        deadline: DEADLINE,
        metrics_every: Some(METRICS_EVERY),
        ..RunOptions::default()
    };
    let run = Run::start(&graph, &registry, options)?;
    let events = run.events();
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    Ok(run)
}

fn seen(shared: &Shared) -> Seen {
    *shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn hops(packets: u64) -> Result<Seen> {
    let shared = Shared::default();
    let text = chain(packets, N_STAGES - 2, "", &format!("n = {packets}"));
    start(&text, &shared)?.join().await?;
    let seen = seen(&shared);
    ensure!(seen.n_packets == packets, "{} of {packets} packets arrived", seen.n_packets);
    Ok(seen)
}

/// How often a packet comes out of three stages that take [`WORK`] each.
async fn interval() -> Result<Duration> {
    let shared = Shared::default();
    let keys = format!("work_ms = {}", WORK.as_millis());
    start(&chain(N_WORKED, 3, &keys, ""), &shared)?.join().await?;
    let seen = seen(&shared);
    ensure!(seen.n_packets == N_WORKED, "{} of {N_WORKED} packets arrived", seen.n_packets);
    Ok(seen.last.since(seen.first).div_f64((N_WORKED - 1) as f64))
}

/// How long a graph whose links are all full takes to stop.
async fn shutdown() -> Result<Duration> {
    let shared = Shared::default();
    let run = start(&chain(0, 3, "", "work_ms = 5"), &shared)?;
    let clock = pipeline::time::Clock::new();
    loop {
        let report = run.handle().report();
        if report.links.iter().all(|link| link.counters.depth == link.bound.size.get()) {
            break;
        }
        clock.sleep(Duration::from_millis(1)).await;
    }
    let asked = clock.now();
    let report = run.stop().await?;
    let took = clock.now().since(asked);
    for link in &report.links {
        let counters = link.counters;
        ensure!(
            counters.received == counters.sent,
            "{}: packets were lost in the stop",
            link.name
        );
    }
    Ok(took)
}

impl Measured {
    pub fn json(&self) -> String {
        // Numbers and names: nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn table(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let memory = match (self.resident_before_bytes, self.resident_after_bytes) {
            (Some(before), Some(after)) => format!("{:.1} MiB, then {:.1} MiB", mib(before), mib(after)),
            _ => "not measured here".to_owned(),
        };
        let runs = self.ns_per_hop_runs.len();
        let rows = [
            (
                "a packet a hop".to_owned(),
                format!("{:.0} ns (one thread, metrics on, median of {runs})", self.ns_per_hop),
            ),
            (
                format!("{} stages", self.stages),
                format!("{:.0} packets/s", self.packets_per_s),
            ),
            (format!("memory over {} packets", self.packets), memory),
            (
                format!("3 stages of {:.0} ms", self.stage_ms),
                format!("a packet every {:.1} ms", self.interval_ms),
            ),
            (
                "stop of a full graph".to_owned(),
                format!("{:.0} ms of {:.0} ms", self.shutdown_ms, self.shutdown_deadline_ms),
            ),
        ];
        let mut table = String::new();
        for (what, value) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{what:<30}{value}");
        }
        if self.profile == "debug" {
            table.push_str("This is a debug build: build with --release to compare.\n");
        }
        table
    }
}
