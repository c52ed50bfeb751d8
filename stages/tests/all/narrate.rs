//! Pictures to words through a whole graph, on the simulator, with the tiny golden checkpoint.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gpu::actor::{Timing, start};
use gpu::protocol::{LoadOptions, Quant};
use gpu::weights::source::{Folder, Source};
use image::RgbImage;
use pipeline::graph::Graph;
use pipeline::packet::{Body, Finish, Text};
use pipeline::registry::Registry;
use pipeline::runtime::{Report, Run, RunOptions};
use pipeline::time::Clock;
use pipeline::trace::TraceHandle;
use safetensors::SafeTensors;
use stages::{Env, Model, ModelText};

use crate::common;

const HEAD: &str = "
[model.eyes]
source = \"golden\"
[engine.main]
type = \"sim\"
";

const WORDS: &str = "
[stage.tokens]
type  = \"tokens.encode\"
input = \"chat\"
model = \"eyes\"
[stage.generate]
type   = \"llm.generate\"
input  = \"tokens\"
model  = \"eyes\"
engine = \"main\"
[stage.words]
type  = \"tokens.decode\"
input = \"generate\"
model = \"eyes\"
[stage.out]
type  = \"sink.channel\"
input = \"words\"
";

/// The golden checkpoint on a simulator, as `eyes` on `main`.
async fn env(base: &Path) -> Env {
    let folder = common::golden("qwen3-vl-s1");
    let source: Arc<dyn Source> = Arc::new(Folder::open(folder).unwrap());
    let timing = Timing {
        clock: Clock::new(),
        trace: TraceHandle::off(),
    };
    let engine = start("sim", timing, || async { Ok(sim::SimEngine::new(sim::Kernels::Fast)) })
        .await
        .unwrap();
    let options = LoadOptions {
        quant: Quant::DenseF32,
        context_tokens: 2048,
        kv_f16: false,
    };
    let info = engine.load(source.clone(), options, None).await.unwrap();
    let text = Arc::new(ModelText::load(&*source).await.unwrap());
    let model = Model {
        text,
        loaded: BTreeMap::from([("main".to_owned(), info)]),
    };
    Env {
        engines: BTreeMap::from([("main".to_owned(), engine)]),
        models: BTreeMap::from([("eyes".to_owned(), model)]),
        base: base.to_owned(),
        ..Env::default()
    }
}

/// Runs a graph with a channel `out`; gives the texts that came and the counters.
async fn run(base: &Path, stages: &str) -> (Vec<Text>, Report) {
    let env = Arc::new(env(base).await);
    let mut registry = Registry::new();
    stages::register(&mut registry, &env);
    let graph = Graph::from_toml(&format!("{HEAD}{stages}{WORDS}"), &registry).unwrap();
    let channel = env.open_channel("out", 4);
    let run = Run::start(&graph, &registry, RunOptions::default()).unwrap();
    let mut texts = Vec::new();
    while let Ok(packet) = channel.recv().await {
        let Body::Text(text) = packet.body else { panic!("no text") };
        texts.push(text);
    }
    (texts, run.join().await.unwrap())
}

/// Writes a raw picture of the goldens as a PNG.
fn write_golden(name: &str, path: &Path) {
    let bytes = common::bytes(common::golden("qwen3-vl-s1").join("media.safetensors"));
    let media = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = media.tensor(&format!("{name}.raw_u8")).unwrap();
    let (height, width) = (tensor.shape()[0] as u32, tensor.shape()[1] as u32);
    RgbImage::from_raw(width, height, tensor.data().to_vec())
        .unwrap()
        .save(path)
        .unwrap();
}

/// Writes frames of one grey each.
fn write_frames(folder: &Path, greys: &[u8]) {
    for (index, grey) in greys.iter().enumerate() {
        RgbImage::from_pixel(96, 64, image::Rgb([*grey; 3]))
            .save(folder.join(format!("{index:03}.png")))
            .unwrap();
    }
}

fn finished(texts: &[Text]) -> Vec<&Text> {
    texts.iter().filter(|text| text.finished.is_some()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_described_as_the_reference_describes_it() {
    let folder = tempfile::tempdir().unwrap();
    write_golden("img_a", &folder.path().join("img_a.png"));
    let meta = common::json(common::golden("qwen3-vl-s1").join("meta.json"));
    let stages = "
[stage.files]
type = \"capture.file\"
path = \"img_a.png\"
[stage.encode]
type   = \"vision.encode\"
input  = \"files\"
model  = \"eyes\"
engine = \"main\"
[stage.chat]
type  = \"chat.ask\"
input = \"encode\"
question = \"describe the image in detail.\"
max_new_tokens = 16
";
    let (texts, _) = run(folder.path(), stages).await;
    let last = texts.last().unwrap();
    assert_eq!(last.text, meta["cases"]["image"]["greedy_text"].as_str().unwrap());
    assert_eq!(last.finished, Some(Finish::Length));
    assert_eq!(texts.iter().map(|text| text.delta.as_str()).collect::<String>(), last.text);
    let about = last.about.as_ref().unwrap();
    assert_eq!((about.index, &*about.label), (0, "img_a"));
}

/// Frames through changes to a narrator; `more` goes into its section, `encode` into the encoder's.
fn narrator(encode: &str, more: &str) -> String {
    format!(
        "
[stage.frames]
type     = \"capture.frames\"
path     = \".\"
realtime = false
[stage.changes]
type  = \"vision.changes\"
input = {{ from = \"frames\", size = 2, when_full = \"wait\" }}
[stage.encode]
type   = \"vision.encode\"
input  = {{ from = \"changes\", size = 2, when_full = \"wait\" }}
model  = \"eyes\"
engine = \"main\"
{encode}
[stage.chat]
type  = \"chat.narrate\"
max_new_tokens = 8
{more}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_narrated_once_and_sinks_write_it() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), &[10, 10, 90, 90, 90, 200]);
    let (jsonl, tsv, text) = (
        folder.path().join("n.jsonl"),
        folder.path().join("n.tsv"),
        folder.path().join("n.txt"),
    );
    let sinks = format!(
        "[stage.a]\ntype = \"sink.jsonl\"\npath = {jsonl:?}\ninput = \"words\"\n\
         [stage.b]\ntype = \"sink.tsv\"\npath = {tsv:?}\ninput = \"words\"\n\
         [stage.c]\ntype = \"sink.text\"\npath = {text:?}\ninput = \"words\"\n\
         [stage.d]\ntype = \"sink.terminal\"\nlive = false\ninputs = {{ text = \"words\", stats = \"generate\" }}\n"
    );
    let stages = narrator("", "input = \"encode\"\nprompt = \"what is it?\"") + &sinks;
    let (texts, report) = run(folder.path(), &stages).await;
    let narrations = finished(&texts);
    let frames: Vec<u64> = narrations.iter().map(|text| text.about.as_ref().unwrap().index).collect();
    assert_eq!(frames, [0, 2, 5]);
    for link in &report.links {
        assert!(
            link.counters.max_depth <= link.bound.size.get(),
            "{}: {:?}",
            link.name,
            link.counters
        );
        assert_eq!(link.counters.dropped, 0, "{}", link.name);
    }
    let lines = std::fs::read_to_string(jsonl).unwrap();
    let written: Vec<(u64, String)> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| (line["frame"].as_u64().unwrap(), line["text"].as_str().unwrap().to_owned()))
        .collect();
    let expected: Vec<(u64, String)> = frames
        .iter()
        .copied()
        .zip(narrations.iter().map(|t| t.text.trim().to_owned()))
        .collect();
    assert_eq!(written, expected);
    let collapsed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected: String = narrations
        .iter()
        .map(|text| format!("{}\t{}\n", text.about.as_ref().unwrap().label, collapsed(&text.text)))
        .collect();
    assert_eq!(std::fs::read_to_string(tsv).unwrap(), expected);
    let expected: String = narrations.iter().map(|narration| format!("{}\n", narration.text)).collect();
    assert_eq!(std::fs::read_to_string(text).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_of_frames_and_what_was_said_go_into_prompts() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), &[10, 90, 200]);
    let more = "inputs = { features = \"encode\", said = { from = \"words\", size = 4, when_full = \"drop_oldest\" } }\n\
        history = 2\nchange_prompt = \"what changed?\"";
    let (texts, _) = run(folder.path(), &narrator("pairs = true", more)).await;
    let frames: Vec<u64> = finished(&texts)
        .iter()
        .map(|text| text.about.as_ref().unwrap().index)
        .collect();
    assert_eq!(frames, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_turn_cuts_an_answer_off() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), &[10]);
    let env = Arc::new(env(folder.path()).await);
    let mut registry = Registry::new();
    stages::register(&mut registry, &env);
    let stages = narrator("", "input = \"encode\"").replace("max_new_tokens = 8", "max_new_tokens = 1900");
    let graph = Graph::from_toml(&format!("{HEAD}{stages}{WORDS}"), &registry).unwrap();
    let channel = env.open_channel("out", 4);
    let run = Run::start(&graph, &registry, RunOptions::default()).unwrap();
    channel.recv().await.unwrap();
    let turn = run.handle().next_turn();
    let mut late = Vec::new();
    while let Ok(packet) = channel.recv().await {
        late.push(packet);
    }
    run.join().await.unwrap();
    // What the channel held already still comes; the end of the answer does not.
    assert!(
        late.len() <= 5 && late.iter().all(|packet| packet.turn < turn),
        "{}",
        late.len()
    );
    let is_end = |body: &Body| matches!(body, Body::Text(text) if text.finished.is_some());
    assert!(!late.iter().any(|packet| is_end(&packet.body)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_written_fails_the_run_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), &[10]);
    let env = Arc::new(env(folder.path()).await);
    let mut registry = Registry::new();
    stages::register(&mut registry, &env);
    let path = folder.path().join("missing").join("n.jsonl");
    let sink = format!("[stage.a]\ntype = \"sink.jsonl\"\npath = {path:?}\ninput = \"words\"\n");
    let stages = narrator("", "input = \"encode\"") + &sink;
    let graph = Graph::from_toml(&format!("{HEAD}{stages}{WORDS}"), &registry).unwrap();
    let channel = env.open_channel("out", 4);
    let run = Run::start(&graph, &registry, RunOptions::default()).unwrap();
    while channel.recv().await.is_ok() {}
    let failure = pipeline::error::chain(&run.join().await.unwrap_err());
    assert!(
        failure.contains("stage a") && failure.contains("n.jsonl") && failure.contains("cannot be written"),
        "{failure}"
    );
}
