//! Any bytes as a recording of a run, and any chunks with right checksums: it is read as far as it makes sense, and what was read
//! is played, or refused in words.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::graph::Graph;
use pipeline::packet::PacketKind;
use pipeline::record::{
    Follow, Out, PictureCoder, REPLAY_TYPE, Script, Tape, TapeWriter, kind, packet_from_bytes, register_replay,
};
use pipeline::registry::{Factory, Registry};
use pipeline::runtime::{Run, RunOptions};
use pipeline::time::Clock;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built")
});

#[derive(Default, serde::Deserialize)]
struct NoKeys {}

/// Takes everything.
struct Sink;

impl Stage for Sink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while ctx.recv().await.is_some() {}
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 4 {
        0 => play(rest),
        1 => play(&chunks(rest)),
        2 => drop(packet_from_bytes(rest, &mut PictureCoder::default())),
        _ => drop(pipeline::link::bridge::Message::from_bytes(
            rest,
            &mut PictureCoder::default(),
        )),
    }
});

/// A file with a graph of a source and a sink, and behind it chunks: kind, length, payload.
fn chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = TapeWriter::new(&mut file).expect("a vector takes all");
    let mut out = Out::new();
    out.text("").text("").text("").text("").number(0).number(0).number(0);
    writer.write(kind::START, &out.0).expect("a vector takes all");
    let mut out = Out::new();
    out.list([("a", true), ("b", false)].into_iter(), |out, (name, is_source)| {
        out.text(name).bool(is_source);
    });
    out.list(["a -> b"].into_iter(), |out, name| {
        out.text(name);
    });
    writer.write(kind::GRAPH, &out.0).expect("a vector takes all");
    while let [kind, n, rest @ ..] = bytes {
        let (payload, tail) = rest.split_at(usize::from(*n).min(rest.len()));
        writer.write(*kind, payload).expect("a vector takes all");
        bytes = tail;
    }
    file
}

fn play(file: &[u8]) {
    let tape = match Tape::from_bytes(file) {
        Ok(tape) => Arc::new(tape),
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut registry = Registry::new();
    register_replay(&mut registry, &tape);
    let kinds: Vec<PacketKind> = PacketKind::ALL
        .into_iter()
        .filter(|kind| *kind != PacketKind::Features)
        .collect();
    registry.add("sink", Factory::new(|_: NoKeys, _| Ok(Sink)).input("in", &kinds));
    let text = format!("[stage.a]\ntype = \"{REPLAY_TYPE}\"\n[stage.b]\ntype = \"sink\"\ninput = \"a\"\n");
    let graph = Graph::from_toml(&text, &registry).expect("the graph is right");
    let clock = Clock::new_virtual();
    RUNTIME.block_on(async {
        if let Ok(engine) = gpu::actor::replay(&tape, "main", &clock) {
            drop(engine.stats().await);
            drop(engine.open(gpu::protocol::ModelId(1)).await);
        }
        let options = RunOptions {
            clock: clock.clone(),
            script: Some(Script {
                tape: tape.clone(),
                follow: Follow::All,
            }),
            ..RunOptions::default()
        };
        // A recording without the source cannot be built.
        if let Ok(run) = Run::start(&graph, &registry, options) {
            drop(run.join().await);
        }
    });
}
