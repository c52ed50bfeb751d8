//! What a packet costs a hop: a source, passing stages and a sink on one thread, metrics on. `cargo bench -p pipeline`.
//! Times are of one packet through all hops of its graph; `qwglm bench pipeline` gives the cost a hop.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::graph::Graph;
use pipeline::packet::{Body, Metric, PacketKind};
use pipeline::registry::{Factory, Registry};
use pipeline::runtime::{Run, RunOptions};

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SourceConfig {
    n: u64,
}

struct Source(SourceConfig);

impl Stage for Source {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        for index in 0..self.0.n {
            let body = Body::Metric(Metric {
                of: String::new(),
                name: "index",
                value: index as f64,
            });
            ctx.send(body, ctx.stamp()).await?;
        }
        Ok(())
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoKeys {}

struct Pass;

impl Stage for Pass {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            ctx.send(packet.body, stamp).await?;
        }
        Ok(())
    }
}

struct Sink;

impl Stage for Sink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while ctx.recv().await.is_some() {}
        Ok(())
    }
}

fn registry() -> Registry {
    let kinds = [PacketKind::Metric];
    let mut registry = Registry::new();
    registry.add("source", Factory::new(|config, _: &_| Ok(Source(config))).gives(&kinds));
    let pass = Factory::new(|_: NoKeys, _: &_| Ok(Pass)).input("in", &kinds).gives(&kinds);
    registry.add("pass", pass);
    registry.add("sink", Factory::new(|_: NoKeys, _: &_| Ok(Sink)).input("in", &kinds));
    registry
}

/// `n` packets over `n_hops` links that hold `size` packets.
fn chain(n: u64, n_hops: usize, size: usize) -> String {
    let mut text = format!("[stage.s0]\ntype = \"source\"\nn = {n}\n");
    for index in 1..=n_hops {
        let kind = if index == n_hops { "sink" } else { "pass" };
        let from = index - 1;
        text.push_str(&format!(
            "[stage.s{index}]\ntype = \"{kind}\"\ninput = {{ from = \"s{from}\", size = {size} }}\n"
        ));
    }
    text
}

fn hops(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of one thread starts");
    let registry = registry();
    let mut group = criterion.benchmark_group("hop");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for (n_hops, size) in [(1, 8), (4, 8), (4, 1), (4, 64)] {
        let name = BenchmarkId::new(format!("{n_hops}_links"), format!("size_{size}"));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|n| {
                let graph = Graph::from_toml(&chain(n, n_hops, size), &registry).expect("the graph is right");
                let options = RunOptions {
                    metrics_every: Some(Duration::from_millis(100)),
                    ..RunOptions::default()
                };
                runtime.block_on(async {
                    let run = Run::start(&graph, &registry, options).expect("it can be built");
                    run.join().await.expect("a good end").elapsed
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hops);
criterion_main!(benches);
