//! The stages `sink.*` for words in the tab: terminal and files alike are the page. And what the page adds to a conversation, to
//! show what is heard and who speaks.

use async_channel::Sender;
use pipeline::actor::{Context, Stage};
use pipeline::error::{Closed, StageError};
use pipeline::packet::{Body, Event, Packet, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use crate::protocol::{ToPage, Words};

/// Types of sink that the page stands in for.
pub const TYPES: [&str; 5] = ["sink.terminal", "sink.text", "sink.jsonl", "sink.tsv", HEARD];
/// The page's own sink, of what is heard.
pub const HEARD: &str = "page.heard";
/// The page's own sink, of who speaks.
pub const VOICE: &str = "page.voice";

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
    /// All that it gets was heard.
    is_heard: bool,
}

impl Stage for PageSink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            if let Some(words) = words(&packet, self.is_heard) {
                ctx.waiting(self.page.send(ToPage::Text(words))).await.map_err(|_| Closed)?;
            }
            ctx.done();
        }
        Ok(())
    }
}

/// Tells the page when somebody begins to speak, and ends.
struct PageVoice {
    page: Sender<ToPage>,
}

impl Stage for PageVoice {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            if let Body::Event(Event::Voice { on }) = packet.body {
                ctx.waiting(self.page.send(ToPage::Voice { on })).await.map_err(|_| Closed)?;
            }
            ctx.done();
        }
        Ok(())
    }
}

/// What a packet of text says to the page.
fn words(packet: &Packet, is_heard: bool) -> Option<Words> {
    let Body::Text(text) = &packet.body else { return None };
    let frame = text.about.as_ref().map(|about| (about.index, about.label.to_string()));
    let pts = match (&text.spoken, &text.about) {
        (Some(spoken), _) => spoken.start,
        (None, Some(about)) => about.pts,
        (None, None) => packet.pts,
    };
    Some(Words {
        is_heard: is_heard || text.spoken.is_some(),
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
        let (page, is_heard) = (page.clone(), name == HEARD);
        let build = move |_: PageSinkConfig, _: &BuildContext<'_>| {
            let page = page.clone();
            Ok(PageSink { page, is_heard })
        };
        let factory = Factory::new(build)
            .input("text", &[PacketKind::Text])
            .optional_input("stats", &[PacketKind::Metric]);
        registry.add(name, factory);
    }
    let page = page.clone();
    let build = move |_: PageSinkConfig, _: &BuildContext<'_>| Ok(PageVoice { page: page.clone() });
    registry.add(VOICE, Factory::new(build).input("voice", &[PacketKind::Event]));
}
