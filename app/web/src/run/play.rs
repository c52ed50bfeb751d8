//! One run: a prepared configuration's graph over the person's pictures, and what the page hears of it.

use std::time::Duration;

use async_channel::Sender;
use futures::future::{Either, join, select};
use pipeline::events::Events;
use pipeline::graph::Graph;
use pipeline::packet::{Body, Event};
use pipeline::registry::Registry;
use pipeline::runtime::{Report, Run, RunHandle, RunOptions};
use pipeline::time::Clock;

use super::error::Result;
use super::prepared::Prepared;
use super::source::Shots;
use super::text;
use crate::protocol::{Counters, LinkCounters, LinkShape, Notice, Rate, StageCounters, ToPage};

/// How often the page hears the counters.
const TICK: Duration = Duration::from_millis(250);

/// Plays to the end of the pictures, or until the run is stopped through the handle that `started` is given.
///
/// Errors: a stage that cannot be built; the first failure of a stage, after the others ended.
pub async fn play(prepared: &Prepared, shots: Shots, page: &Sender<ToPage>, started: impl FnOnce(RunHandle)) -> Result<()> {
    let (graph, registry) = graph_of(prepared, &shots, page)?;
    let options = RunOptions {
        clock: prepared.clock.clone(),
        ..RunOptions::default()
    };
    run(&graph, &registry, options, page, started).await
}

/// The graph of a prepared configuration over these pictures, and what its stages are built from.
///
/// Errors: those of a check, of which there are none: it was checked when it was prepared.
pub fn graph_of(prepared: &Prepared, shots: &Shots, page: &Sender<ToPage>) -> Result<(Graph, Registry)> {
    let config = match shots {
        Shots::Shared { .. } => text::live(&prepared.config),
        Shots::Files(_) => prepared.config.clone(),
    };
    let registry = prepared.registry(shots, page);
    Ok((Graph::from_toml(&config, &registry)?, registry))
}

/// Plays a graph, or the part of it that is here, and tells the page of it.
///
/// Errors: as [`play`].
pub async fn run(
    graph: &Graph,
    registry: &Registry,
    options: RunOptions,
    page: &Sender<ToPage>,
    started: impl FnOnce(RunHandle),
) -> Result<()> {
    let run = Run::start(graph, registry, options)?;
    let handle = run.handle().clone();
    started(handle.clone());
    let _ = page.send(ToPage::Began { links: shapes(graph) }).await;
    let heard = hear(run.events(), page);
    let ticks = tick(&handle, page);
    // The events end with the run; the ticks never do.
    let beside = select(Box::pin(heard), Box::pin(ticks));
    let (report, beside) = join(run.join(), beside).await;
    debug_assert!(matches!(beside, Either::Left(_)), "the ticks do not end");
    let _ = page.send(ToPage::Counters(counters(&handle.report()))).await;
    report?;
    Ok(())
}

fn shapes(graph: &Graph) -> Vec<LinkShape> {
    let name = |index: usize| graph.stages()[index].name.clone();
    let shape = |link: &pipeline::graph::LinkSpec| LinkShape {
        name: graph.link_name(link),
        from: name(link.from),
        to: name(link.to),
        size: link.bound.size.get(),
        when_full: link.bound.when_full.name().to_owned(),
    };
    graph.links().iter().map(shape).collect()
}

/// Tells the page of warnings, restarts and what answers took.
async fn hear(events: Events, page: &Sender<ToPage>) {
    let mut rate = Rate::default();
    while let Some(packet) = events.recv().await {
        let message = match packet.body {
            Body::Event(Event::Warning { stage, message }) => ToPage::Notice(Notice::Warning { stage, message }),
            Body::Event(Event::StageRestarted { stage, message, .. }) => ToPage::Notice(Notice::Restarted { stage, message }),
            Body::Metric(metric) => {
                let place = match metric.name {
                    "prompt_tokens" => &mut rate.prompt_tokens,
                    "reused_tokens" => &mut rate.reused_tokens,
                    "prefill_tokens_per_s" => &mut rate.prefill_per_s,
                    "new_tokens" => &mut rate.new_tokens,
                    "tokens_per_s" => &mut rate.tokens_per_s,
                    _ => continue,
                };
                *place = metric.value;
                // The last of an answer's numbers.
                if metric.name != "tokens_per_s" {
                    continue;
                }
                ToPage::Rate(rate)
            }
            _ => continue,
        };
        if page.send(message).await.is_err() {
            return;
        }
    }
}

/// Tells the page the counters while it keeps up.
async fn tick(handle: &RunHandle, page: &Sender<ToPage>) {
    // Not the run's clock, whose time may be virtual.
    let wall = Clock::new();
    loop {
        if page.is_empty() {
            let _ = page.try_send(ToPage::Counters(counters(&handle.report())));
        }
        wall.sleep(TICK).await;
    }
}

fn counters(report: &Report) -> Counters {
    let millis = |duration: Duration| duration.as_millis() as u64;
    Counters {
        elapsed_ms: millis(report.elapsed),
        links: report
            .links
            .iter()
            .map(|link| LinkCounters {
                name: link.name.clone(),
                depth: link.counters.depth,
                sent: link.counters.sent,
                dropped: link.counters.dropped,
                waited_ms: millis(link.counters.waited),
            })
            .collect(),
        stages: report
            .stages
            .iter()
            .map(|stage| StageCounters {
                name: stage.name.clone(),
                type_name: stage.type_name.clone(),
                received: stage.received,
                sent: stage.sent,
                restarts: stage.restarts,
                busy_ms: millis(stage.busy),
            })
            .collect(),
    }
}
