//! Runs that are recorded and replayed: what arrives is the same, whatever the parts take of time, and wherever the file ends.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::graph::Graph;
use crate::packet::{Body, Packet};
use crate::runtime::{Report, Run, RunOptions};
use crate::testing::{TestBench, graph};
use crate::time::Clock;

/// A file in memory.
#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two sources; one behind a slow stage that drops, the other merged with what is left.
fn text(first: &str, second: &str, slow_ms: u64) -> String {
    format!(
        "[stage.first]\n{first}\n\
         [stage.slow]\ntype = \"test.slow\"\nms = {slow_ms}\ninput = {{ from = \"first\", size = 2, when_full = \"drop_oldest\" }}\n\
         [stage.second]\n{second}\n\
         [stage.join]\ntype = \"test.join\"\n\
         inputs = {{ in = {{ from = \"slow\", size = 1, when_full = \"wait\" }}, more = {{ from = \"second\", size = 1, when_full = \"drop_newest\" }} }}\n\
         [stage.out]\ntype = \"test.collect\"\ninput = \"join\"\n"
    )
}

const FIRST: &str = "type = \"test.count\"\nn = 12\nevery_ms = 3";
const SECOND: &str = "type = \"test.count\"\nn = 9\nevery_ms = 5";
const REPLAYED: &str = "type = \"capture.replay\"";

/// What arrives at `out`: who made it is told by its time.
fn heard(packets: Vec<Packet>) -> Vec<(u64, u128, String)> {
    let words = |packet: &Packet| match &packet.body {
        Body::Text(text) => text.text.clone(),
        body => body.kind().name().to_owned(),
    };
    packets
        .iter()
        .map(|packet| (packet.seq, packet.pts.0.as_micros(), words(packet)))
        .collect()
}

async fn run_to_end(graph: &Graph, bench: &TestBench, options: RunOptions) -> Result<Report, Error> {
    let clock = options.clock.clone();
    clock
        .track(async { Run::start(graph, &bench.registry, options)?.join().await })
        .await
}

fn in_virtual_time() -> RunOptions {
    RunOptions {
        clock: Clock::new_virtual(),
        ..RunOptions::default()
    }
}

type Heard = Vec<(u64, u128, String)>;

/// Runs a graph, writes it down, and gives what arrived and the file.
async fn recorded(text: &str) -> (Heard, Vec<u8>) {
    let bench = TestBench::new();
    let file = File::default();
    let start = Start {
        text: text.to_owned(),
        seeds: vec![("first".to_owned(), 7)],
        ..Start::default()
    };
    let recorder = Recorder::new(file.clone(), &start).unwrap();
    let options = RunOptions {
        recorder: Some(recorder.clone()),
        ..in_virtual_time()
    };
    let ended = run_to_end(&graph(text, &bench), &bench, options).await;
    recorder
        .finish(ended.err().map(|error| error.to_string()).as_deref())
        .unwrap();
    let bytes = file.0.lock().unwrap().clone();
    (heard(bench.collected.packets("out")), bytes)
}

async fn replayed(tape: &Arc<Tape>, text: &str) -> (Heard, Result<Report, Error>) {
    let mut bench = TestBench::new();
    register_replay(&mut bench.registry, tape);
    let script = Script {
        tape: tape.clone(),
        follow: Follow::All,
    };
    let options = RunOptions {
        script: Some(script),
        ..in_virtual_time()
    };
    let ended = run_to_end(&graph(text, &bench), &bench, options).await;
    (heard(bench.collected.packets("out")), ended)
}

#[tokio::test]
async fn a_replay_gives_the_same_however_fast_its_stages_are() {
    let (original, bytes) = recorded(&text(FIRST, SECOND, 7)).await;
    assert!(original.len() < 12 + 9, "something was dropped: {original:?}");
    let tape = Arc::new(Tape::from_bytes(&bytes).unwrap());
    assert_eq!(tape.end, TapeEnd::Whole { failure: None });
    assert_eq!(tape.start.seeds, [("first".to_owned(), 7)]);
    for slow_ms in [7, 0, 1, 500] {
        let (again, ended) = replayed(&tape, &text(REPLAYED, REPLAYED, slow_ms)).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(again, original, "with {slow_ms} ms");
    }
}

#[tokio::test]
async fn a_graph_whose_links_are_all_bridges_says_the_same() {
    let source = "type = \"test.count\"\nn = 40\nevery_ms = 3";
    let text = format!(
        "[stage.in]\n{source}\n\
         [stage.slow]\ntype = \"test.slow\"\nms = 7\ninput = {{ from = \"in\", size = 3, when_full = \"drop_oldest\" }}\n\
         [stage.pass]\ntype = \"test.pass\"\ninput = {{ from = \"slow\", size = 1, when_full = \"wait\" }}\n\
         [stage.out]\ntype = \"test.collect\"\ninput = \"pass\"\n"
    );
    let mut all = Vec::new();
    for is_bridged in [false, true] {
        let bench = TestBench::new();
        let graph = graph(&text, &bench);
        let names = graph.links().iter().map(|link| graph.link_name(link));
        let options = RunOptions {
            bridged: names.filter(|_| is_bridged).collect(),
            ..in_virtual_time()
        };
        let report = run_to_end(&graph, &bench, options).await.unwrap();
        let counters: Vec<_> = report.links.iter().map(|link| link.counters).collect();
        assert!(counters[0].dropped > 0 && counters[0].max_depth <= 3);
        all.push((heard(bench.collected.packets("out")), counters));
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn a_source_that_failed_fails_again_with_the_same_words() {
    let bench = TestBench::new();
    let text_of = |source: &str| format!("[stage.in]\n{source}\n[stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n");
    let text = text_of("type = \"test.fallible\"");
    let file = File::default();
    let recorder = Recorder::new(file.clone(), &Start::default()).unwrap();
    let options = RunOptions {
        recorder: Some(recorder.clone()),
        ..in_virtual_time()
    };
    let failed = run_to_end(&graph(&text, &bench), &bench, options).await.unwrap_err();
    recorder.finish(Some("it failed")).unwrap();
    let tape = Tape::from_bytes(&file.0.lock().unwrap()).unwrap();
    let failure = Some("it failed".to_owned());
    assert_eq!(tape.end, TapeEnd::Whole { failure });
    let (again, ended) = replayed(&Arc::new(tape), &text_of(REPLAYED)).await;
    assert_eq!(again.len(), 1);
    assert_eq!(crate::error::chain(&ended.unwrap_err()), crate::error::chain(&failed));
}

#[tokio::test]
async fn a_source_that_came_back_comes_back_and_repeats_nothing() {
    let bench = TestBench::new();
    let text_of = |source: &str| {
        format!(
            "[stage.in]\n{source}\nrestart = {{ policy = \"on-failure\", limit = 3 }}\n\
             [stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n"
        )
    };
    let file = File::default();
    let recorder = Recorder::new(file.clone(), &Start::default()).unwrap();
    let options = RunOptions {
        recorder: Some(recorder.clone()),
        ..in_virtual_time()
    };
    let failed = run_to_end(&graph(&text_of("type = \"test.fallible\""), &bench), &bench, options).await;
    recorder.finish(None).unwrap();
    let original = heard(bench.collected.packets("out"));
    let tape = Tape::from_bytes(&file.0.lock().unwrap()).unwrap();
    let (again, ended) = replayed(&Arc::new(tape), &text_of(REPLAYED)).await;
    assert_eq!(again, original);
    let words = |ended: Result<Report, Error>| ended.map_err(|error| crate::error::chain(&error)).err();
    assert_eq!(words(ended), words(failed));
}

#[tokio::test]
async fn cut_at_any_byte_it_gives_what_came_before_or_says_that_there_is_nothing() {
    let (original, bytes) = recorded(&text(FIRST, SECOND, 7)).await;
    let (mut most, mut n_replays) = (0, 0);
    for n in 0..bytes.len() {
        let tape = match Tape::from_bytes(&bytes[..n]) {
            Err(Error::RecordingCut { at_byte }) => {
                assert!(at_byte <= n as u64 && most == 0, "{n}");
                continue;
            }
            Err(error) => panic!("{n}: {error}"),
            Ok(tape) => Arc::new(tape),
        };
        let error = tape.end.error().expect("it is not whole").to_string();
        assert!(error.starts_with("recording ends early at byte "), "{n}: {error}");
        let (again, ended) = replayed(&tape, &text(REPLAYED, REPLAYED, 7)).await;
        assert!(ended.is_ok(), "{n}: {ended:?}");
        assert_eq!(again, original[..again.len()], "{n}");
        assert!(again.len() >= most, "{n}: more of the file gives less");
        (most, n_replays) = (again.len(), n_replays + 1);
    }
    assert_eq!(most, original.len());
    assert!(n_replays > 500, "{n_replays}");
}

#[tokio::test]
async fn any_byte_that_flips_is_said_and_gives_at_most_what_came_before() {
    let (original, bytes) = recorded(&text(FIRST, SECOND, 7)).await;
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(tape) = Tape::from_bytes(&bytes) else { continue };
        assert!(tape.end.error().is_some(), "byte {at}");
        let (again, _) = replayed(&Arc::new(tape), &text(REPLAYED, REPLAYED, 7)).await;
        assert_eq!(again, original[..again.len()], "byte {at}");
    }
}

#[tokio::test]
async fn frames_are_recorded_without_loss() {
    let source = "type = \"test.frames\"\nn = 5";
    let text_of = |source: &str| {
        format!("[stage.in]\n{source}\n[stage.out]\ntype = \"test.collect\"\ninput = {{ from = \"in\", size = 8 }}\n")
    };
    let (original, bytes) = recorded(&text_of(source)).await;
    assert_eq!(original.len(), 5);
    let tape = Arc::new(Tape::from_bytes(&bytes).unwrap());
    let (again, ended) = replayed(&tape, &text_of(REPLAYED)).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(again, original);
}

#[test]
fn a_file_that_cannot_be_written_is_said_at_the_end() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The head and the start fit.
            if bytes.len() > 100 {
                Err(io::Error::other("disk full"))
            } else {
                Ok(bytes.len())
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let recorder = Recorder::new(Full, &Start::default()).unwrap();
    recorder.write(kind::FIRST_OF_ENGINES, &[0; 200]);
    recorder.write(kind::FIRST_OF_ENGINES, &[0; 2]);
    let error = recorder.finish(None).unwrap_err();
    assert_eq!(crate::error::chain(&error), "the recording cannot be written: disk full");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Chunks with right checksums and anything in them: read or refused, and played without a panic.
    #[test]
    fn any_chunks_are_a_recording_or_refused(
        chunks in prop::collection::vec((0u8..20, prop::collection::vec(any::<u8>(), 0..24)), 0..12),
    ) {
        let mut bytes = Vec::new();
        let mut writer = TapeWriter::new(&mut bytes).unwrap();
        writer.write(kind::START, &Start::default().to_bytes()).unwrap();
        let mut out = Out::new();
        out.list([("first", true), ("second", true)].into_iter(), |out, (name, is_source)| { out.text(name).bool(is_source); });
        out.list(["first -> slow", "slow -> join"].into_iter(), |out, name| { out.text(name); });
        writer.write(kind::GRAPH, &out.0).unwrap();
        for (kind, payload) in &chunks {
            writer.write(*kind, payload).unwrap();
        }
        let tape = Arc::new(Tape::from_bytes(&bytes).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = text(REPLAYED, REPLAYED, 1);
        let (_, ended) = runtime.block_on(async { replayed(&tape, &text).await });
        let _ = ended;
    }
}

#[test]
fn a_real_engine_is_followed_up_to_it() {
    let bench = TestBench::new();
    let text = "[model.m]\nsource = \"x\"\n[engine.e]\ntype = \"sim\"\n\
        [stage.in]\ntype = \"test.count\"\n[stage.mid]\ntype = \"test.pass\"\ninput = \"in\"\n\
        [stage.thinks]\ntype = \"test.thinks\"\ninput = \"mid\"\nmodel = \"m\"\nengine = \"e\"\n\
        [stage.out]\ntype = \"test.collect\"\ninput = \"thinks\"\n";
    let graph = graph(text, &bench);
    let mut bytes = Vec::new();
    let mut writer = TapeWriter::new(&mut bytes).unwrap();
    writer.write(kind::START, &Start::default().to_bytes()).unwrap();
    let mut out = Out::new();
    out.list([("in", true)].into_iter(), |out, (name, is_source)| {
        out.text(name).bool(is_source);
    });
    out.list(["in -> mid", "mid -> thinks", "thinks -> out"].into_iter(), |out, name| {
        out.text(name);
    });
    writer.write(kind::GRAPH, &out.0).unwrap();
    let tape = Arc::new(Tape::from_bytes(&bytes).unwrap());
    let follows = |follow| {
        let orders = Script {
            tape: tape.clone(),
            follow,
        }
        .orders(&graph);
        let carried: Vec<bool> = orders.carried.iter().map(Option::is_some).collect();
        (carried, orders.stages.iter().map(Option::is_some).collect::<Vec<_>>())
    };
    assert_eq!(follows(Follow::All), (vec![true; 3], vec![true; 4]));
    assert_eq!(
        follows(Follow::UntilEngines),
        (vec![true, true, false], vec![true, true, true, false])
    );
}

#[tokio::test]
async fn a_turn_that_ended_ends_again() {
    let bench = TestBench::new();
    let file = File::default();
    let recorder = Recorder::new(file.clone(), &Start::default()).unwrap();
    let text_of = |source: &str| text(source, SECOND, 7);
    let options = RunOptions {
        recorder: Some(recorder.clone()),
        ..in_virtual_time()
    };
    let clock = options.clock.clone();
    let graph = graph(&text_of(FIRST), &bench);
    let cancelled = async {
        let run = Run::start(&graph, &bench.registry, options)?;
        clock.sleep(std::time::Duration::from_millis(20)).await;
        run.handle().next_turn();
        run.join().await
    };
    assert!(clock.track(cancelled).await.is_ok());
    recorder.finish(None).unwrap();
    let original = heard(bench.collected.packets("out"));
    let tape = Arc::new(Tape::from_bytes(&file.0.lock().unwrap()).unwrap());
    assert_eq!(
        tape.turns
            .iter()
            .map(|(time, turn)| (time.0.as_millis(), *turn))
            .collect::<Vec<_>>(),
        [(20, 1)]
    );
    let (again, ended) = replayed(&tape, &text(REPLAYED, REPLAYED, 7)).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(again, original);
}
