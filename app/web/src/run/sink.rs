//! The stages `sink.*` for words in the tab: terminal and files alike are the page.

use async_channel::Sender;
use pipeline::actor::{Context, Stage};
use pipeline::error::{Closed, StageError};
use pipeline::packet::{Body, Packet, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use crate::protocol::{ToPage, Words};

/// Types of sink that the page stands in for.
pub const TYPES: [&str; 4] = ["sink.terminal", "sink.text", "sink.jsonl", "sink.tsv"];

/// The keys of these sinks. What says where words go has no meaning in the tab.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PageSinkConfig {
    live: Option<bool>,
    path: Option<toml::Value>,
}

/// Hands words to the page, and waits while it takes none. A restart loses nothing: what was sent was sent.
struct PageSink {
    page: Sender<ToPage>,
}

impl Stage for PageSink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            if let Some(words) = words(&packet) {
                ctx.waiting(self.page.send(ToPage::Text(words))).await.map_err(|_| Closed)?;
            }
            ctx.done();
        }
        Ok(())
    }
}

/// What a packet of text says to the page.
fn words(packet: &Packet) -> Option<Words> {
    let Body::Text(text) = &packet.body else { return None };
    let frame = text.about.as_ref().map(|about| (about.index, about.label.to_string()));
    let pts = text.about.as_ref().map_or(packet.pts, |about| about.pts);
    Some(Words {
        turn: packet.turn,
        pts_ms: pts.as_millis_f64() as u64,
        frame,
        text: text.text.trim().to_owned(),
        is_thought: text.thought,
        is_finished: text.finished.is_some(),
    })
}

/// Registers these sinks, all of which tell `page`.
pub fn register(registry: &mut Registry, page: &Sender<ToPage>) {
    for name in TYPES {
        let page = page.clone();
        let build = move |_: PageSinkConfig, _: &BuildContext<'_>| Ok(PageSink { page: page.clone() });
        let factory = Factory::new(build)
            .input("text", &[PacketKind::Text])
            .optional_input("stats", &[PacketKind::Metric]);
        registry.add(name, factory);
    }
}
