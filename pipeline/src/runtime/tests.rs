//! Runs of whole graphs: starts, stops, failures, deadlines, turns.

use proptest::prelude::*;

use super::*;
use crate::packet::{Body, Event};
use crate::testing::{TestBench, graph};
use crate::trace::Trace;

/// Starts the graph of a text; `bench` collects what arrives.
fn start(text: &str, bench: &TestBench) -> Run {
    Run::start(&graph(text, bench), &bench.registry, RunOptions::default()).expect("it can be built")
}

/// A test in virtual time: it stands while the test looks.
pub(super) async fn in_virtual_time<F: Future<Output = ()>>(test: impl FnOnce(RunOptions) -> F) {
    let options = RunOptions {
        clock: Clock::new_virtual(),
        ..RunOptions::default()
    };
    options.clock.clone().track(test(options)).await;
}

/// Starts the graph of a text with these options.
pub(super) fn start_with(text: &str, bench: &TestBench, options: &RunOptions) -> Run {
    Run::start(&graph(text, bench), &bench.registry, options.clone()).expect("it can be built")
}

pub(super) async fn events_of(events: Events) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(packet) = events.recv().await {
        if let Body::Event(event) = packet.body {
            all.push(event);
        }
    }
    all
}

/// A source, a stage `mid` of the given keys, and a sink `out`.
pub(super) fn chain_with(source: &str, mid: &str) -> String {
    format!(
        "[stage.in]\ntype = \"test.count\"\n{source}\n[stage.mid]\n{mid}\ninput = \"in\"\n\
         [stage.out]\ntype = \"test.collect\"\ninput = \"mid\"\n"
    )
}

const PASS: &str = "type = \"test.pass\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_arrives_in_order_and_is_counted() {
    let bench = TestBench::new();
    let report = start(&chain_with("n = 100", PASS), &bench).join().await.expect("a good end");
    let expected: Vec<String> = (0..100).map(|index| index.to_string()).collect();
    assert_eq!(bench.collected.texts("out"), expected);
    assert!(bench.collected.is_flushed("out"));
    let link = report.link("mid -> out").expect("it is there").counters;
    assert_eq!((link.sent, link.received, link.dropped, link.depth), (100, 100, 0, 0));
    assert!(link.max_depth <= 8);
    let stage = report.stage("mid").expect("it is there");
    assert_eq!((stage.received, stage.sent), (100, 100));
}

#[tokio::test]
async fn packets_keep_the_pts_and_turn_that_they_answer() {
    let bench = TestBench::new();
    start(&chain_with("n = 3", "type = \"test.pass\""), &bench)
        .join()
        .await
        .expect("a good end");
    let packets = bench.collected.packets("out");
    assert_eq!(packets.iter().map(|packet| packet.seq).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(packets.is_sorted_by_key(|packet| packet.pts));
}

#[tokio::test]
async fn stop_ends_sources_and_flushes_sinks() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let run = start_with(&chain_with("n = 0\nevery_ms = 10", PASS), &bench, &options);
        options.clock.sleep(Duration::from_millis(1005)).await;
        let report = run.stop().await.expect("a good end");
        assert_eq!(bench.collected.texts("out").len(), 100);
        assert!(bench.collected.is_flushed("out"));
        assert_eq!(report.link("in -> mid").expect("it is there").counters.depth, 0);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_does_not_look_is_stopped_at_its_next_packet() {
    let bench = TestBench::new();
    let run = start(&chain_with("n = 0", PASS), &bench);
    run.stop().await.expect("a good end");
    assert!(bench.collected.is_flushed("out"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failure_is_the_runs_error_after_the_sinks_flushed() {
    let bench = TestBench::new();
    let run = start(&chain_with("n = 0", "type = \"test.break\"\nafter = 3"), &bench);
    let events = run.events();
    let error = run.join().await.expect_err("it failed");
    assert_eq!(crate::error::chain(&error), "stage mid failed: disk full");
    assert_eq!(
        bench.collected.texts("out"),
        ["0", "1", "2"],
        "what came before the failure is not lost"
    );
    assert!(bench.collected.is_flushed("out"));
    let failed = events_of(events)
        .await
        .into_iter()
        .filter(|event| matches!(event, Event::StageFailed { .. }));
    assert_eq!(failed.count(), 1, "the others ended well");
}

#[tokio::test]
async fn a_panic_becomes_an_error_with_its_words() {
    let bench = TestBench::new();
    let run = start(
        &chain_with("n = 0", "type = \"test.break\"\nafter = 2\nhow = \"panic\""),
        &bench,
    );
    let error = run.join().await.expect_err("it panicked");
    assert_eq!(error.to_string(), "stage mid panicked: index 7 of 3");
    assert!(bench.collected.is_flushed("out"));
}

#[tokio::test]
async fn what_does_not_end_is_aborted_at_the_deadline_and_named() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let run = start_with(
            &chain_with("n = 0\nevery_ms = 1", "type = \"test.break\"\nafter = 2\nhow = \"hang\""),
            &bench,
            &options,
        );
        options.clock.sleep(Duration::from_millis(50)).await;
        let error = run.stop().await.expect_err("it hangs");
        let Error::Deadline { stages, deadline } = error else {
            panic!("{error}")
        };
        assert_eq!(deadline, RunOptions::default().deadline);
        assert!(stages.contains(&"mid".to_owned()), "{stages:?}");
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_ends_ends_those_before_it_well() {
    let bench = TestBench::new();
    let run = start(
        &chain_with("n = 0", "type = \"test.break\"\nafter = 5\nhow = \"end\""),
        &bench,
    );
    run.join().await.expect("nobody failed");
    assert_eq!(bench.collected.texts("out").len(), 5);
}

#[tokio::test]
async fn an_output_reaches_every_reader_and_outlives_one_of_them() {
    let bench = TestBench::new();
    let text = chain_with("n = 20", "type = \"test.break\"\nafter = 2\nhow = \"end\"")
        + "[stage.other]\ntype = \"test.collect\"\ninput = \"in\"\n";
    start(&text, &bench).join().await.expect("a good end");
    assert_eq!(bench.collected.texts("out").len(), 2);
    assert_eq!(bench.collected.texts("other").len(), 20);
}

#[tokio::test]
async fn several_stages_into_one_input_all_arrive() {
    let bench = TestBench::new();
    let text = "[stage.a]\ntype = \"test.count\"\nn = 30\n[stage.b]\ntype = \"test.count\"\nn = 40\n\
                [stage.j]\ntype = \"test.join\"\ninput = \"a\"\ninputs.more = { from = \"b\", size = 1 }\n\
                [stage.out]\ntype = \"test.collect\"\ninput = [\"j\", { from = \"a\", size = 2 }]\n";
    let report = start(text, &bench).join().await.expect("a good end");
    assert_eq!(bench.collected.texts("out").len(), 100);
    assert!(report.link("b -> j.more").is_some());
}

#[tokio::test]
async fn nothing_of_a_cancelled_turn_arrives() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let text = "[stage.in]\ntype = \"test.count\"\nn = 0\nevery_ms = 1\n[stage.mid]\ntype = \"test.pass\"\n\
                    input = { from = \"in\", size = 1 }\n[stage.out]\ntype = \"test.collect\"\ninput = \"mid\"\n";
        let run = start_with(text, &bench, &options);
        let clock = options.clock.clone();
        clock.sleep(Duration::from_millis(20)).await;
        assert_eq!(run.handle().next_turn(), 1);
        let n_before = bench.collected.packets("out").len();
        clock.sleep(Duration::from_millis(20)).await;
        run.stop().await.expect("a good end");
        let after = &bench.collected.packets("out")[n_before..];
        assert!(after.len() > 10);
        assert!(
            after.iter().all(|packet| packet.turn == 1),
            "{:?}",
            after.iter().map(|p| p.turn).collect::<Vec<_>>()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cycle_that_drops_runs_and_ends() {
    let bench = TestBench::new();
    let text = "[stage.in]\ntype = \"test.count\"\nn = 50\n[stage.a]\ntype = \"test.join\"\ninput = \"in\"\n\
                inputs.more = { from = \"b\", size = 1, when_full = \"drop_oldest\" }\n\
                [stage.b]\ntype = \"test.pass\"\ninput = \"a\"\n[stage.out]\ntype = \"test.collect\"\ninput = \"b\"\n";
    let report = start(text, &bench).join().await.expect("a good end");
    assert!(bench.collected.texts("out").len() >= 50);
    assert!(report.link("b -> a.more").expect("it is there").counters.max_depth <= 1);
}

#[tokio::test]
async fn feedback_over_a_latest_link_never_waits_and_ends() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let text = "[stage.in]\ntype = \"test.count\"\nn = 50\nevery_ms = 10\n[stage.a]\ntype = \"test.join\"\ninput = \"in\"\n\
                    inputs.more = { from = \"b\", when_full = \"latest\" }\n\
                    [stage.b]\ntype = \"test.hop\"\ninput = \"a\"\n[stage.out]\ntype = \"test.collect\"\ninput = \"b\"\n";
        let report = start_with(text, &bench, &options).join().await.expect("a good end");
        let link = report.link("b -> a.more").expect("it is there");
        assert_eq!((link.bound.size.get(), link.counters.dropped), (1, 0));
        // Each goes round six times, and only the last may find its input ended.
        let n_out = bench.collected.texts("out").len();
        assert!((49 * 6..=50 * 6).contains(&n_out), "{n_out}");
    })
    .await;
}

#[tokio::test]
async fn a_slow_subscriber_stops_nobody_and_ends_with_the_run() {
    let bench = TestBench::new();
    let run = start(&chain_with("n = 5000", PASS), &bench);
    let events = run.events();
    run.join().await.expect("a good end");
    let ended: Vec<_> = events_of(events)
        .await
        .into_iter()
        .map(|event| serde_json::to_value(event).unwrap())
        .collect();
    assert_eq!(ended.len(), 3, "{ended:?}");
    assert_eq!(ended[0], serde_json::json!({ "event": "stage_ended", "stage": "in" }));
}

#[tokio::test]
async fn metrics_go_to_subscribers_as_often_as_asked() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let options = RunOptions {
            metrics_every: Some(Duration::from_secs(1)),
            ..options
        };
        let graph = graph(&chain_with("n = 0\nevery_ms = 100", PASS), &bench);
        let run = Run::start(&graph, &bench.registry, options.clone()).expect("it can be built");
        let events = run.events();
        options.clock.sleep(Duration::from_millis(2500)).await;
        run.stop().await.expect("a good end");
        let mut n_reports = 0;
        while let Some(packet) = events.recv().await {
            if let Body::Metric(metric) = packet.body {
                n_reports += usize::from(metric.of == "in -> mid" && metric.name == "dropped");
            }
        }
        assert_eq!(n_reports, 3, "two in time, one at the end");
    })
    .await;
}

#[tokio::test]
async fn a_trace_shows_two_stages_at_work_at_the_same_time() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let options = RunOptions {
            trace: Trace::on(options.clock.clone()),
            ..options
        };
        let trace = options.trace.clone();
        let slow = |name: &str, input: &str| format!("[stage.{name}]\ntype = \"test.slow\"\nms = 10\ninput = \"{input}\"\n");
        let text = format!(
            "[stage.in]\ntype = \"test.count\"\nn = 5\n{}{}[stage.out]\ntype = \"test.collect\"\ninput = \"generate\"\n",
            slow("encode", "in"),
            slow("generate", "encode")
        );
        Run::start(&graph(&text, &bench), &bench.registry, options)
            .expect("it can be built")
            .join()
            .await
            .expect("a good end");
        let json: serde_json::Value = serde_json::from_str(&trace.to_json()).expect("valid JSON");
        let events = json["traceEvents"].as_array().expect("a list");
        let tracks: Vec<_> = events.iter().filter(|event| event["name"] == "thread_name").collect();
        assert_eq!(tracks.len(), 4, "a track for each stage");
        let slice = |stage: &str, seq: u64| {
            let event = events
                .iter()
                .find(|event| event["ph"] == "X" && event["args"]["stage"] == stage && event["args"]["seq"] == seq)
                .unwrap_or_else(|| panic!("no slice of packet {seq} in {stage}"));
            let start = event["ts"].as_f64().expect("a time");
            (start, start + event["dur"].as_f64().expect("a time"))
        };
        assert_eq!(slice("in", 3).1, slice("in", 3).0, "the source takes no time");
        for seq in 0..4 {
            let (encode, generate) = (slice("encode", seq + 1), slice("generate", seq));
            let overlap = encode.1.min(generate.1) - encode.0.max(generate.0);
            assert!(
                overlap >= 9_000.0,
                "packet {} is encoded while {seq} is generated: {encode:?} {generate:?}",
                seq + 1
            );
        }
    })
    .await;
}

#[test]
fn without_a_runtime_it_says_so() {
    let bench = TestBench::new();
    let graph = graph(&chain_with("n = 1", PASS), &bench);
    assert!(matches!(
        Run::start(&graph, &bench.registry, RunOptions::default()),
        Err(Error::NoRuntime)
    ));
}

/// Any graph of sources, stages and sinks, with whatever links; most are refused.
fn any_graph() -> impl Strategy<Value = String> {
    let link = (0_usize..8, 1_usize..4, 0_usize..5);
    let stage = (0_usize..5, proptest::collection::vec(link, 1..3));
    proptest::collection::vec(stage, 2..8).prop_map(|stages| {
        let mut text = String::new();
        let n_stages = stages.len();
        for (index, (kind, links)) in stages.into_iter().enumerate() {
            let kind = if index == 0 { 0 } else { kind };
            let inputs: Vec<String> = links
                .into_iter()
                .map(|(from, size, policy)| {
                    // Mostly from before, so that many are accepted; the last policy is the default.
                    let size = if policy == 3 { 1 } else { size };
                    let from = if policy == 0 { from % n_stages } else { from % index.max(1) };
                    let when_full = [
                        " , when_full = \"wait\"",
                        ", when_full = \"drop_oldest\"",
                        ", when_full = \"drop_newest\"",
                        ", when_full = \"latest\"",
                        "",
                    ];
                    format!("{{ from = \"s{from}\", size = {size}{} }}", when_full[policy])
                })
                .collect();
            text += &format!("[stage.s{index}]\n");
            text += &match kind {
                0 => "type = \"test.count\"\nn = 40\n".to_owned(),
                1 => "type = \"test.count\"\nn = 0\nevery_ms = 1\n".to_owned(),
                2 | 3 => format!("type = \"test.hop\"\ninput = [{}]\n", inputs.join(", ")),
                _ => format!("type = \"test.collect\"\ninput = [{}]\n", inputs.join(", ")),
            };
        }
        // A sink for all, so that nothing is unread.
        let all: Vec<String> = (0..n_stages).map(|index| format!("\"s{index}\"")).collect();
        text + &format!("[stage.all]\ntype = \"test.collect\"\ninput = [{}]\n", all.join(", "))
    })
}

/// The text with the sinks taken out of the last stage's list: they give nothing.
fn without_sinks_as_sources(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let sinks: Vec<String> = lines
        .windows(2)
        .filter(|pair| pair[1].contains("test.collect"))
        .filter_map(|pair| Some(pair[0].strip_prefix("[stage.")?.trim_end_matches(']').to_owned()))
        .collect();
    if let Some(last) = lines.last_mut() {
        for sink in sinks {
            *last = last
                .replace(&format!("\"{sink}\", "), "")
                .replace(&format!(", \"{sink}\""), "");
        }
    }
    lines.join("\n")
}

#[test]
fn any_graph_that_is_accepted_starts_runs_and_stops() {
    let n_accepted = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let result = runner.run(&any_graph().prop_map(|text| without_sinks_as_sources(&text)), |text| {
        let bench = TestBench::new();
        let Ok(graph) = Graph::from_toml(&text, &bench.registry) else {
            return Ok(());
        };
        n_accepted.set(n_accepted.get() + 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let options = RunOptions {
            clock: Clock::new_virtual(),
            ..RunOptions::default()
        };
        runtime.block_on(options.clock.track(async {
            let run = Run::start(&graph, &bench.registry, options.clone()).expect("it can be built");
            options.clock.sleep(Duration::from_millis(100)).await;
            let report = run
                .stop()
                .await
                .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert!(bench.collected.is_flushed("all"), "{text}");
            prop_assert!(!bench.collected.packets("all").is_empty(), "{text}");
            for link in &report.links {
                prop_assert!(link.counters.max_depth <= link.bound.size.get(), "{text}");
            }
            Ok(())
        }))
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        n_accepted.get() >= 100,
        "only {} of 400 graphs were accepted: the test proves little",
        n_accepted.get()
    );
}
