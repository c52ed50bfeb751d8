//! Stages that keep something over their restarts, and are made to fail at any moment.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{events_of, in_virtual_time, start_with};
use super::*;
use crate::actor::{BoxStage, Context, Moment, Probe, Stage};
use crate::error::chain;
use crate::packet::{Body, Event, PacketKind};
use crate::registry::Factory;
use crate::testing::{TestBench, graph, text};
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoKeys {}

/// A source of `0` to `11` that goes on where it was.
struct Steps;

impl Stage for Steps {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let first = ctx.kept_or(|| 0);
        for index in first..12 {
            ctx.send(text(index.to_string()), ctx.stamp()).await?;
            ctx.keep(index + 1);
        }
        Ok(())
    }
}

/// Sends the sum so far, and then what it was before.
struct Sum;

impl Stage for Sum {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut sum = ctx.kept::<u64>().unwrap_or(0);
        while let Some(packet) = ctx.recv().await {
            let Body::Text(read) = &packet.body else { continue };
            let next = sum + read.text.parse::<u64>().map_err(|_| StageError::new("no number"))?;
            ctx.send(text(next.to_string()), packet.stamp()).await?;
            ctx.send(text(format!("was {sum}")), packet.stamp()).await?;
            sum = next;
            ctx.commit(sum);
        }
        Ok(())
    }
}

/// Writes each packet down once.
struct Ledger(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Stage for Ledger {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            let Body::Text(text) = packet.body else { continue };
            let line = format!("{} {}", packet.seq, text.text);
            self.0.lock().unwrap().entry(ctx.name().to_owned()).or_default().push(line);
            ctx.done();
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Panic,
    Hang,
}

/// Which of a stage's moments go wrong, counted over its restarts.
type Wrong = BTreeMap<(usize, usize), What>;

const STAGES: [&str; 4] = ["steps", "sum", "a", "b"];

struct Injured(BoxStage, Arc<Injury>);

struct Injury {
    stage: usize,
    wrong: Wrong,
    n: Arc<Mutex<[usize; 4]>>,
}

impl Probe for Injury {
    fn at(&self, _: Moment<'_>) -> bool {
        let nth = {
            let n = &mut self.n.lock().unwrap()[self.stage];
            *n += 1;
            *n
        };
        match self.wrong.get(&(self.stage, nth)) {
            None => true,
            Some(What::Hang) => false,
            // Past the hook, which would print each.
            Some(What::Panic) => std::panic::resume_unwind(Box::new("it was to")),
        }
    }
}

impl Stage for Injured {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        self.0.run_boxed(ctx.probed(self.1)).await
    }
}

/// Runs the graph; what the two ledgers have, and the report.
fn run(wrong: &Wrong) -> Result<(BTreeMap<String, Vec<String>>, Report), Error> {
    let written = Arc::default();
    let mut bench = TestBench::new();
    let texts = &[PacketKind::Text];
    let registry = &mut bench.registry;
    registry.add("test.steps", Factory::new(|_: NoKeys, _| Ok(Steps)).gives(texts));
    registry.add(
        "test.sum",
        Factory::new(|_: NoKeys, _| Ok(Sum)).input("in", texts).gives(texts),
    );
    let to = Arc::clone(&written);
    let ledger = move |_: NoKeys, _: &BuildContext<'_>| Ok(Ledger(Arc::clone(&to)));
    registry.add("test.ledger", Factory::new(ledger).input("in", texts));
    let (n, wrong) = (Arc::default(), wrong.clone());
    registry.wrap(move |stage, context| {
        let index = STAGES.iter().position(|name| *name == context.spec.name);
        let injury = Injury {
            stage: index.expect("it is one of them"),
            wrong: wrong.clone(),
            n: Arc::clone(&n),
        };
        Box::new(Injured(stage, Arc::new(injury)))
    });
    let policy = "deadline_ms = 50\nrestart = { policy = \"on-failure\", limit = 1000, retry = true }\n";
    let stage = |name: &str, keys: &str| format!("[stage.{name}]\n{keys}\n{policy}");
    let text = stage("steps", "type = \"test.steps\"")
        + &stage("sum", "type = \"test.sum\"\ninput = { from = \"steps\", size = 2 }")
        + &stage("a", "type = \"test.ledger\"\ninput = { from = \"sum\", size = 1 }")
        + &stage("b", "type = \"test.ledger\"\ninput = { from = \"sum\", size = 3 }");
    let graph = graph(&text, &bench);
    let options = RunOptions {
        clock: Clock::new_virtual(),
        ..RunOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let report = runtime.block_on(options.clock.track(async {
        Run::start(&graph, &bench.registry, options.clone())
            .expect("it can be built")
            .join()
            .await
    }))?;
    let written = written.lock().unwrap().clone();
    Ok((written, report))
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let what = prop_oneof![Just(What::Panic), Just(What::Hang)];
    proptest::collection::btree_map((0_usize..4, 1_usize..110), what, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A source, a stage with a state that sends twice for each packet, and two sinks, any of which fails at any of its
    /// moments: the sinks have what they have when nothing fails, numbers included.
    #[test]
    fn with_what_is_kept_failures_at_any_moment_lose_and_double_nothing(wrong in wrong()) {
        let (expected, _) = run(&Wrong::new()).expect("a good end");
        let (found, report) = run(&wrong).map_err(|error| TestCaseError::fail(chain(&error)))?;
        prop_assert_eq!(&expected["a"], &expected["b"]);
        prop_assert_eq!(expected["a"].len(), 24);
        prop_assert_eq!(found, expected);
        let lost: u64 = report.stages.iter().map(|stage| stage.lost).sum();
        let sent: Vec<u64> = report.stages.iter().map(|stage| stage.sent).collect();
        prop_assert_eq!((lost, sent), (0, vec![12, 24, 0, 0]));
    }
}

/// Says that a restart does not mend it.
struct Broken;

impl Stage for Broken {
    async fn run(self, _: Context) -> Result<(), StageError> {
        Err(StageError::fatal("no such folder"))
    }
}

#[tokio::test]
async fn what_a_restart_cannot_mend_ends_the_run_at_once() {
    in_virtual_time(async |options| {
        let mut bench = TestBench::new();
        let texts = &[PacketKind::Text];
        bench
            .registry
            .add("test.broken", Factory::new(|_: NoKeys, _| Ok(Broken)).gives(texts));
        let text =
            "[stage.in]\ntype = \"test.broken\"\nrestart = \"always\"\n[stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n";
        let run = start_with(text, &bench, &options);
        let events = run.events();
        let error = run.join().await.expect_err("it is broken");
        assert_eq!(chain(&error), "stage in failed: no such folder");
        assert_eq!(options.clock.now().0, Duration::ZERO);
        assert!(bench.collected.is_flushed("out"));
        let restarted = |event: &Event| matches!(event, Event::StageRestarted { .. });
        assert!(!events_of(events).await.iter().any(restarted));
    })
    .await;
}

/// A source that waits for its time, and another that just stands.
struct Waits {
    is_known: bool,
}

impl Stage for Waits {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let later = Timestamp(Duration::from_secs(100));
        match self.is_known {
            true => ctx.sleep_until(later).await,
            false => ctx.clock().sleep_until(later).await,
        }
        Ok(ctx.send(text("at last"), ctx.stamp()).await?)
    }
}

#[tokio::test]
async fn a_source_may_wait_for_a_time_and_hangs_where_it_stands_otherwise() {
    in_virtual_time(async |options| {
        let mut bench = TestBench::new();
        let texts = &[PacketKind::Text];
        for (name, is_known) in [("test.waits", true), ("test.stands", false)] {
            let build = move |_: NoKeys, _: &BuildContext<'_>| Ok(Waits { is_known });
            bench.registry.add(name, Factory::new(build).gives(texts));
        }
        let text = |source: &str| {
            format!("[stage.in]\ntype = \"{source}\"\ndeadline_ms = 500\n[stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n")
        };
        let error = start_with(&text("test.stands"), &bench, &options).join().await;
        assert!(matches!(error, Err(Error::Hang { .. })), "{error:?}");
        assert_eq!(options.clock.now().0.as_millis(), 500);
        start_with(&text("test.waits"), &bench, &options)
            .join()
            .await
            .expect("a good end");
        assert_eq!(bench.collected.texts("out"), ["at last"]);
    })
    .await;
}
