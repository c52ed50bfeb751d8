//! Small stages for this crate's own tests. Not for other crates: those have `alone.rs`.

pub(crate) mod flaky;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::actor::{Context, Stage};
use crate::error::{Error, Fault, StageError};
use crate::graph::Graph;
use crate::packet::{Body, Frame, FrameRef, Packet, PacketKind, Text};
use crate::registry::{Factory, Need, Registry};
use crate::time::Timestamp;

/// A registry of small stages, and what its sinks collected.
pub struct TestBench {
    pub registry: Registry,
    pub collected: Collected,
}

/// Per sink: the packets, and whether it came to its end.
#[derive(Clone, Default)]
pub struct Collected(Arc<Mutex<BTreeMap<String, Heard>>>);

type Heard = (Vec<Packet>, bool);

impl Collected {
    pub fn texts(&self, sink: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let texts = all
            .get(sink)
            .into_iter()
            .flat_map(|(packets, _)| packets)
            .map(|packet| match &packet.body {
                Body::Text(text) => text.text.clone(),
                other => other.kind().name().to_owned(),
            });
        texts.collect()
    }

    pub fn packets(&self, sink: &str) -> Vec<Packet> {
        self.0
            .lock()
            .unwrap()
            .get(sink)
            .map(|(packets, _)| packets.clone())
            .unwrap_or_default()
    }

    /// Whether the sink was told the end and flushed.
    pub fn is_flushed(&self, sink: &str) -> bool {
        self.0.lock().unwrap().get(sink).is_some_and(|(_, flushed)| *flushed)
    }

    fn with(&self, sink: &str, change: impl FnOnce(&mut Heard)) {
        change(self.0.lock().unwrap().entry(sink.to_owned()).or_default());
    }
}

/// The graph of a text that is right.
pub fn graph(text: &str, bench: &TestBench) -> Graph {
    Graph::from_toml(text, &bench.registry).unwrap_or_else(|error| panic!("{error}"))
}

/// The faults of a text that is wrong.
pub fn faults(text: &str) -> Vec<Fault> {
    match Graph::from_toml(text, &TestBench::new().registry) {
        Err(Error::Config { faults }) => faults,
        Err(error) => panic!("{error}"),
        Ok(_) => Vec::new(),
    }
}

pub fn text(words: impl Into<String>) -> Body {
    let text = words.into();
    Body::Text(Text {
        delta: text.clone(),
        text,
        about: None,
        thought: false,
        finished: None,
        spoken: None,
    })
}

pub fn packet(seq: u64, turn: u64) -> Packet {
    Packet {
        seq,
        pts: Timestamp(Duration::from_millis(seq)),
        turn,
        body: text(seq.to_string()),
    }
}

fn frame(index: u64) -> Body {
    let about = FrameRef {
        index,
        label: "".into(),
        pts: Timestamp::default(),
    };
    Body::Frame(Frame {
        about,
        width: 1,
        height: 1,
        rgb: vec![0; 3].into(),
        changed: None,
    })
}

/// Sends `n` packets (0: until it is stopped), one each `every_ms` (0: as fast as the links let it).
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Count {
    n: u64,
    every_ms: u64,
    #[serde(skip)]
    frames: bool,
}

impl Default for Count {
    fn default() -> Self {
        Self {
            n: 10,
            every_ms: 0,
            frames: false,
        }
    }
}

impl Stage for Count {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        for index in 0.. {
            if ctx.is_stopping() || (self.n > 0 && index == self.n) {
                break;
            }
            if self.every_ms > 0
                && ctx
                    .or_stop(ctx.clock().sleep(Duration::from_millis(self.every_ms)))
                    .await
                    .is_none()
            {
                break;
            }
            let body = if self.frames { frame(index) } else { text(index.to_string()) };
            ctx.send(body, ctx.stamp()).await?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
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

/// Passes on what has not come through six of these before: in a cycle nothing goes round for ever.
struct Hop;

impl Stage for Hop {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(mut packet) = ctx.recv().await {
            let Body::Text(text) = &mut packet.body else { continue };
            text.delta.push('>');
            if text.delta.matches('>').count() <= 6 {
                let stamp = packet.stamp();
                ctx.send(packet.body, stamp).await?;
            }
        }
        Ok(())
    }
}

/// Works `ms` on each packet.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Slow {
    ms: u64,
}

impl Stage for Slow {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            ctx.clock().sleep(Duration::from_millis(self.ms)).await;
            let stamp = packet.stamp();
            ctx.send(packet.body, stamp).await?;
        }
        Ok(())
    }
}

struct Collect(Collected);

impl Stage for Collect {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            self.0.with(ctx.name(), |(packets, _)| packets.push(packet));
        }
        self.0.with(ctx.name(), |(_, flushed)| *flushed = true);
        Ok(())
    }
}

/// Passes on `after` packets and then ends in one way or the other.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Break {
    after: u64,
    how: How,
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    #[default]
    Fail,
    Panic,
    Hang,
    End,
}

impl Stage for Break {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        for _ in 0..self.after {
            let Some(packet) = ctx.recv().await else { return Ok(()) };
            let stamp = packet.stamp();
            ctx.send(packet.body, stamp).await?;
        }
        match self.how {
            How::Fail => Err(std::io::Error::other("disk full"))?,
            How::Panic => panic!("index 7 of 3"),
            How::Hang => std::future::pending().await,
            How::End => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileConfig {
    path: PathBuf,
}

/// A source that sends one packet and fails.
struct Fallible;

impl Stage for Fallible {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        ctx.send(text("a"), ctx.stamp()).await?;
        Err(std::io::Error::other("no camera"))?
    }
}

impl TestBench {
    pub fn new() -> Self {
        const TEXT: &[PacketKind] = &[PacketKind::Text];
        let collected = Collected::default();
        let mut registry = Registry::new();
        registry.add("test.count", Factory::new(|config: Count, _| Ok(config)).gives(TEXT));
        let frames = Factory::new(|config: Count, _| Ok(Count { frames: true, ..config }));
        registry.add("test.frames", frames.gives(&[PacketKind::Frame]));
        let pass = || Factory::new(|_: NoKeys, _| Ok(Pass)).gives(TEXT);
        registry.add("test.pass", pass().input("in", TEXT));
        registry.add("test.hop", Factory::new(|_: NoKeys, _| Ok(Hop)).gives(TEXT).input("in", TEXT));
        registry.add(
            "test.slow",
            Factory::new(|config: Slow, _| Ok(config)).input("in", TEXT).gives(TEXT),
        );
        registry.add("test.join", pass().input("in", TEXT).optional_input("more", TEXT));
        registry.add(
            "test.break",
            Factory::new(|config: Break, _| Ok(config)).input("in", TEXT).gives(TEXT),
        );
        registry.add("test.fallible", Factory::new(|_: NoKeys, _| Ok(Fallible)).gives(TEXT));
        flaky::register(&mut registry);
        registry.add(
            "test.thinks",
            pass().input("in", TEXT).model(Need::Required).engine(Need::Optional),
        );
        let to = collected.clone();
        let collect = Factory::new(move |_: NoKeys, _| Ok(Collect(to.clone())));
        registry.add("test.collect", collect.input("in", &[PacketKind::Text, PacketKind::Frame]));
        let to = collected.clone();
        let file = Factory::new(move |_: FileConfig, _| Ok(Collect(to.clone())));
        let file = file.input("in", TEXT).writes(|config| vec![config.path.clone()]);
        let check = |config: &FileConfig, _: &crate::registry::CheckContext<'_>| match config.path.as_os_str().is_empty() {
            true => vec![Fault::new("path", "is empty", "a file")],
            false => Vec::new(),
        };
        registry.add("test.file", file.check(check));
        registry.model_check(|_, table| match table.get("source") {
            Some(_) => Vec::new(),
            None => vec![Fault::new("source", "is missing", "a folder")],
        });
        registry.engine_check(|_, table| match table.get("type").and_then(toml::Value::as_str) {
            Some("sim" | "wgpu") => Vec::new(),
            _ => vec![Fault::new("type", "is no type of engine", "sim, wgpu")],
        });
        Self { registry, collected }
    }
}
