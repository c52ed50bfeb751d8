//! Stages that fail and come back, in virtual time.

use futures::FutureExt;
use proptest::prelude::*;

use super::tests::{chain_with, events_of, in_virtual_time, start_with};
use super::*;
use crate::actor::{Context, Stage};
use crate::error::chain;
use crate::packet::{Body, Event, PacketKind};
use crate::registry::Factory;
use crate::testing::flaky::Fate;
use crate::testing::{TestBench, graph};

fn flaky(fates: &str, more: &str) -> String {
    format!("type = \"test.flaky\"\nfates = [{fates}]\n{more}")
}

/// What was told of the stage `mid`, with its time in milliseconds.
async fn told(events: Events) -> Vec<(u128, String)> {
    let mut all = Vec::new();
    while let Some(packet) = events.recv().await {
        let what = match packet.body {
            Body::Event(Event::StageFailed { stage, message }) if stage == "mid" => format!("failed: {message}"),
            Body::Event(Event::StageRestarted { stage, n_restarts, .. }) if stage == "mid" => format!("restarted {n_restarts}"),
            _ => continue,
        };
        all.push((packet.pts.0.as_millis(), what));
    }
    all
}

#[tokio::test]
async fn a_stage_that_fails_panics_or_hangs_comes_back_and_loses_only_its_packet() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let fates = r#""pass", "fail", "panic", "pass", "hang""#;
        let text = chain_with("n = 8", &flaky(fates, "restart = \"on-failure\"\ndeadline_ms = 40"));
        let run = start_with(&text, &bench, &options);
        let events = run.events();
        let report = run.join().await.expect("a good end");
        assert_eq!(bench.collected.texts("out"), ["0", "3", "5", "6", "7"]);
        let seqs: Vec<_> = bench.collected.packets("out").iter().map(|packet| packet.seq).collect();
        assert_eq!(seqs, [0, 1, 2, 3, 4], "numbering goes on");
        let stage = report.stage("mid").expect("it is there");
        assert_eq!((stage.received, stage.sent, stage.restarts, stage.lost), (8, 5, 3, 3));
        let told = told(events).await;
        let told: Vec<_> = told.iter().map(|(ms, what)| (*ms, what.as_str())).collect();
        assert_eq!(
            told,
            [
                (0, "failed: stage mid failed: disk full"),
                (100, "restarted 1"),
                (100, "failed: stage mid panicked: index 7 of 3"),
                (300, "restarted 2"),
                (340, "failed: stage mid hangs: no progress on a packet for 40 ms"),
                (740, "restarted 3"),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn with_retry_nothing_is_lost() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let policy = "restart = { policy = \"on-failure\", retry = true }\ndeadline_ms = 40";
        let text = chain_with("n = 4", &flaky(r#""fail", "hang", "pass", "fail_after""#, policy));
        let report = start_with(&text, &bench, &options).join().await.expect("a good end");
        assert_eq!(
            bench.collected.texts("out"),
            ["0", "1", "2", "3"],
            "what was sent before the failure is not sent again"
        );
        let seqs: Vec<_> = bench.collected.packets("out").iter().map(|packet| packet.seq).collect();
        assert_eq!(seqs, [0, 1, 2, 3]);
        let stage = report.stage("mid").expect("it is there");
        assert_eq!((stage.lost, stage.sent), (0, 4));
    })
    .await;
}

#[tokio::test]
async fn one_failure_too_many_ends_the_run_with_its_cause_after_the_sinks_flushed() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let policy = "restart = { policy = \"on-failure\", limit = 2 }";
        let text = chain_with("n = 0", &flaky(r#""pass", "fail", "pass", "fail", "pass", "panic""#, policy));
        let run = start_with(&text, &bench, &options);
        let events = run.events();
        let error = run.join().await.expect_err("it failed for good");
        assert_eq!(chain(&error), "stage mid panicked: index 7 of 3");
        assert_eq!(bench.collected.texts("out"), ["0", "2", "4"]);
        assert!(bench.collected.is_flushed("out"));
        let n_failed = events_of(events)
            .await
            .into_iter()
            .filter(|event| matches!(event, Event::StageFailed { .. }));
        assert_eq!(n_failed.count(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_stage_that_cannot_be_built_anew_is_tried_up_to_its_limit() {
    for (bad_builds, limit, is_good) in [(2, 3, true), (2, 2, false)] {
        in_virtual_time(async |options| {
            let bench = TestBench::new();
            let policy = format!("bad_builds = {bad_builds}\nrestart = {{ policy = \"on-failure\", limit = {limit} }}");
            let text = chain_with("n = 3", &flaky("\"fail\"", &policy));
            let result = start_with(&text, &bench, &options).join().await;
            assert!(bench.collected.is_flushed("out"));
            match result {
                Ok(_) => assert!(is_good && bench.collected.texts("out") == ["1", "2"]),
                Err(error) => {
                    assert!(!is_good);
                    assert_eq!(chain(&error), "stage mid (test.flaky) cannot be built: no such device");
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_hang_without_a_restart_ends_the_run() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let text = chain_with("n = 0\nevery_ms = 1", &flaky(r#""pass", "hang""#, "deadline_ms = 500"));
        let error = start_with(&text, &bench, &options).join().await.expect_err("it hangs");
        assert_eq!(error.to_string(), "stage mid hangs: no progress on a packet for 500 ms");
        assert_eq!(options.clock.now().0.as_millis(), 502, "as soon as it is known");
        assert!(bench.collected.is_flushed("out"));
    })
    .await;
}

#[tokio::test]
async fn waiting_for_room_or_for_a_packet_is_no_hang() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        // Its packets come each 100 ms, or its reader takes 100 ms.
        for (every_ms, ms) in [(100, 0), (0, 100)] {
            let text = format!(
                "[stage.in]\ntype = \"test.count\"\nn = 10\nevery_ms = {every_ms}\n\
                 [stage.mid]\ntype = \"test.pass\"\ninput = {{ from = \"in\", size = 1 }}\ndeadline_ms = 10\n\
                 [stage.slow]\ntype = \"test.slow\"\nms = {ms}\ninput = {{ from = \"mid\", size = 1 }}\n\
                 [stage.out]\ntype = \"test.collect\"\ninput = \"slow\"\n"
            );
            start_with(&text, &bench, &options).join().await.expect("a good end");
        }
        assert_eq!(bench.collected.texts("out").len(), 20);
    })
    .await;
}

#[tokio::test]
async fn always_starts_a_source_again_until_the_run_stops() {
    in_virtual_time(async |options| {
        let bench = TestBench::new();
        let source = "n = 2\nrestart = { policy = \"always\", backoff_ms = 10, limit = 1 }";
        let text = chain_with(source, "type = \"test.pass\"\nrestart = \"always\"");
        let run = start_with(&text, &bench, &options);
        options.clock.sleep(Duration::from_millis(25)).await;
        let report = run.stop().await.expect("good ends are no failures");
        assert_eq!(bench.collected.texts("out"), ["0", "1", "0", "1", "0", "1"]);
        assert_eq!(report.stage("in").expect("it is there").restarts, 2);
        assert_eq!(report.stage("mid").expect("it is there").restarts, 0, "its input had ended");
    })
    .await;
}

/// Its first incarnation hands its first packet, and all it knows of the run, to a thread that waits for a gate: to the run it
/// hangs. When the gate opens, the thread goes on as if nothing had happened, and says how far it came.
struct Stuck {
    gate: Option<Gate>,
}

struct Gate {
    opens: std::sync::mpsc::Receiver<()>,
    /// Whether it could send, and whether it received something.
    came: std::sync::mpsc::Sender<(bool, bool)>,
}

impl Stage for Stuck {
    async fn run(mut self, ctx: Context) -> Result<(), StageError> {
        let n_before: u64 = ctx.kept().unwrap_or_default();
        let ctx = Arc::new(ctx);
        let mut n = n_before;
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            if let Some(Gate { opens, came }) = self.gate.take() {
                let ctx = ctx.clone();
                std::thread::spawn(move || {
                    let _ = opens.recv();
                    ctx.commit(1000_u64);
                    let has_sent = ctx.send(packet.body, stamp).now_or_never().is_some();
                    let has_received = ctx.recv().now_or_never().is_some() || ctx.try_recv().is_some();
                    let _ = came.send((has_sent, has_received));
                });
                std::future::pending::<()>().await;
            } else {
                n += 1;
                ctx.send(crate::testing::text(n.to_string()), stamp).await?;
                ctx.commit(n);
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_hangs_in_a_thread_reaches_nobody_once_it_is_left_behind() {
    in_virtual_time(async |options| {
        let mut bench = TestBench::new();
        let (open, opens) = std::sync::mpsc::channel();
        let (came, has_come) = std::sync::mpsc::channel();
        let first = Mutex::new(Some(Gate { opens, came }));
        let build = move |_: toml::Table, _: &BuildContext<'_>| {
            Ok(Stuck {
                gate: first.lock().unwrap().take(),
            })
        };
        let texts = &[PacketKind::Text];
        let factory = Factory::new(build).input("in", texts).gives(texts);
        bench.registry.add("test.stuck", factory);
        let policy = "restart = { policy = \"on-failure\", retry = true }";
        let text = chain_with(
            "n = 5\nevery_ms = 300",
            &format!("type = \"test.stuck\"\n{policy}\ndeadline_ms = 100"),
        );
        let run = start_with(&text, &bench, &options);
        let events = run.events();
        while let Some(packet) = events.recv().await {
            if matches!(packet.body, Body::Event(Event::StageRestarted { .. })) {
                break;
            }
        }
        open.send(()).expect("it waits");
        // Virtual time stands: this waits for the thread, not for a time.
        assert_eq!(has_come.recv(), Ok((false, false)), "it can neither send nor receive");
        let report = run.join().await.expect("a good end");
        let stage = report.stage("mid").expect("it is there");
        assert_eq!((stage.restarts, stage.lost), (1, 0));
        assert_eq!(
            bench.collected.texts("out"),
            ["1", "2", "3", "4", "5"],
            "nor change what the next one keeps"
        );
    })
    .await;
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        6 => Just(Fate::Pass),
        1 => Just(Fate::Fail),
        1 => Just(Fate::Panic),
        1 => Just(Fate::Hang),
        1 => Just(Fate::FailAfter),
    ];
    proptest::collection::vec(fate, 0..30)
}

/// What a stage gives for its input, how often it is restarted, and how many packets it had in hand for the last time then.
fn expected(input: &[String], fates: &[Fate], retry: bool) -> (Vec<String>, u64, u64) {
    let (mut output, mut n_restarts, mut n_lost) = (Vec::new(), 0, 0);
    let mut fates = fates.iter().copied().chain(std::iter::repeat(Fate::Pass));
    for packet in input {
        loop {
            let fate = fates.next().unwrap_or(Fate::Pass);
            if matches!(fate, Fate::Pass | Fate::FailAfter) && output.last() != Some(packet) {
                output.push(packet.clone());
            }
            if fate == Fate::Pass {
                break;
            }
            n_restarts += 1;
            if !retry {
                n_lost += 1;
                break;
            }
        }
    }
    (output, n_restarts, n_lost)
}

fn names(fates: &[Fate]) -> String {
    let name = |fate: &Fate| match fate {
        Fate::Pass => "\"pass\"",
        Fate::Fail => "\"fail\"",
        Fate::Panic => "\"panic\"",
        Fate::Hang => "\"hang\"",
        Fate::FailAfter => "\"fail_after\"",
    };
    fates.iter().map(name).collect::<Vec<_>>().join(", ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Two stages in a row that fail at any packets in any way: order is kept, only packets in hand are lost, and with `retry`
    /// not even those, nothing is doubled, and no link is above its bound.
    #[test]
    fn restarts_keep_order_and_lose_only_what_was_in_hand(
        n in 1_usize..40,
        sizes in (1_usize..4, 1_usize..4),
        stages in ((fates(), any::<bool>()), (fates(), any::<bool>())),
    ) {
        let stage = |name: &str, input: &str, size: usize, (fates, retry): &(Vec<Fate>, bool)| {
            let policy = format!("{{ policy = \"on-failure\", limit = 1000, retry = {retry} }}");
            let fates = flaky(&names(fates), &format!("restart = {policy}\ndeadline_ms = 50"));
            format!("[stage.{name}]\n{fates}\ninput = {{ from = \"{input}\", size = {size} }}\n")
        };
        let text = format!(
            "[stage.in]\ntype = \"test.count\"\nn = {n}\n{}{}[stage.out]\ntype = \"test.collect\"\ninput = \"b\"\n",
            stage("a", "in", sizes.0, &stages.0),
            stage("b", "a", sizes.1, &stages.1),
        );
        let bench = TestBench::new();
        let graph = graph(&text, &bench);
        let options = RunOptions { clock: Clock::new_virtual(), ..RunOptions::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let report = runtime.block_on(options.clock.track(async {
            Run::start(&graph, &bench.registry, options.clone()).expect("it can be built").join().await
        }));
        let report = report.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let input: Vec<String> = (0..n).map(|index| index.to_string()).collect();
        let (between, a_restarts, a_lost) = expected(&input, &stages.0.0, stages.0.1);
        let (output, b_restarts, b_lost) = expected(&between, &stages.1.0, stages.1.1);
        prop_assert_eq!(bench.collected.texts("out"), output, "{}", text);
        prop_assert!(bench.collected.is_flushed("out"));
        for (name, restarts, lost) in [("a", a_restarts, a_lost), ("b", b_restarts, b_lost)] {
            let stage = report.stage(name).expect("it is there");
            prop_assert_eq!((stage.restarts, stage.lost), (restarts, lost), "{}", text);
        }
        for link in &report.links {
            prop_assert!(link.counters.max_depth <= link.bound.size.get());
            prop_assert_eq!(link.counters.sent, link.counters.received, "{}", text);
        }
    }
}
