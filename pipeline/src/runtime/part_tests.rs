//! A graph that runs in two parts, joined by bytes, is the graph that runs in one.

use super::*;
use crate::link::bridge::{Arrivals, Departures};
use crate::packet::Body;
use crate::testing::{TestBench, graph};

const GRAPH: &str = r#"
[stage.numbers]
type = "test.count"
n = 40

[stage.there]
type = "test.pass"
input = { from = "numbers", size = 3, when_full = "wait" }

[stage.back]
type = "test.join"
inputs = { in = { from = "there", size = 2, when_full = "wait" }, more = { from = "beyond", when_full = "latest" } }

[stage.beyond]
type = "test.hop"
input = "back"

[stage.out]
type = "test.collect"
input = "back"
"#;

/// What of [`GRAPH`] runs elsewhere.
const THERE: [&str; 2] = ["there", "beyond"];

/// Joins two shores until all bridges have ended.
async fn join(mut from: Departures, mut to: Arrivals) {
    while let Some((link, bytes)) = from.next().await {
        to.land(link, bytes)
            .expect("there is room for what the halves of a bridge send");
    }
}

/// A run of the stages that `is_here` chooses, with the shores of its ferry.
fn part(bench: &TestBench, text: &str, clock: &Clock, is_here: impl Fn(&str) -> bool) -> (Run, Departures, Arrivals) {
    let graph = graph(text, bench);
    let (ferry, departures, arrivals) = Ferry::new(graph.links().len());
    let names = graph.stages().iter().map(|stage| stage.name.clone());
    let stages = names.filter(|name| is_here(name)).collect();
    let options = RunOptions {
        clock: clock.clone(),
        part: Some(Part { stages, ferry }),
        ..RunOptions::default()
    };
    let run = Run::start(&graph, &bench.registry, options).expect("it can be built");
    (run, departures, arrivals)
}

fn two_parts(bench: &TestBench, text: &str, clock: &Clock) -> (Run, Run) {
    let (here, from_here, to_here) = part(bench, text, clock, |name| !THERE.contains(&name));
    let (there, from_there, to_there) = part(bench, text, clock, |name| THERE.contains(&name));
    for shores in [(from_here, to_there), (from_there, to_here)] {
        let _runs_by_itself = spawn::spawn_tracked(clock, join(shores.0, shores.1));
    }
    (here, there)
}

#[tokio::test]
async fn two_parts_are_one_run() {
    let (bench, clock) = (TestBench::new(), Clock::new_virtual());
    let (here, there) = clock
        .track(async {
            let (here, there) = two_parts(&bench, GRAPH, &clock);
            (here.join().await.unwrap(), there.join().await.unwrap())
        })
        .await;
    let all = bench.collected.packets("out");
    let numbers: Vec<u64> = all
        .iter()
        .filter(|packet| matches!(&packet.body, Body::Text(text) if !text.delta.contains('>')))
        .map(|packet| packet.seq)
        .collect();
    assert_eq!(numbers.len(), 40, "nothing is lost or doubled");
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "and order is kept");
    assert!(all.len() > 40, "what goes round comes back");
    assert!(bench.collected.is_flushed("out"));
    let names = |report: &Report| report.links.iter().map(|link| link.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&here), ["numbers -> there", "back -> beyond", "back -> out"]);
    assert_eq!(
        names(&there),
        ["there -> back", "beyond -> back.more"],
        "each link is told of once"
    );
    for link in here.links.iter().chain(&there.links) {
        assert!(link.counters.max_depth <= link.bound.size.get(), "{}", link.name);
    }
    assert_eq!((here.stages.len(), there.stages.len()), (3, 2));
}

#[tokio::test]
async fn a_turn_that_begins_in_one_part_is_the_turn_of_both() {
    let (bench, clock) = (TestBench::new(), Clock::new_virtual());
    let text = GRAPH.replace("n = 40", "n = 0\nevery_ms = 10");
    clock
        .track(async {
            let (here, there) = two_parts(&bench, &text, &clock);
            clock.sleep(Duration::from_millis(55)).await;
            assert_eq!(there.handle().next_turn(), 1);
            clock.sleep(Duration::from_millis(50)).await;
            assert_eq!(here.handle().turn().current(), 1);
            let last = bench.collected.packets("out").last().map(|packet| packet.turn);
            assert_eq!(last, Some(1), "the source has heard of it");
            here.stop().await.unwrap();
            // Its inputs have ended.
            there.join().await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn a_part_whose_other_part_is_gone_ends() {
    let (bench, clock) = (TestBench::new(), Clock::new_virtual());
    let text = GRAPH.replace("n = 40", "n = 0\nevery_ms = 10");
    clock
        .track(async {
            let (here, from_here, to_here) = part(&bench, &text, &clock, |name| !THERE.contains(&name));
            clock.sleep(Duration::from_millis(55)).await;
            drop((from_here, to_here));
            here.join().await.unwrap();
        })
        .await;
}
