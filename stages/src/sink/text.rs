//! `sink.text`: the words alone as they come, an answer a line, to a file or standard output.

use std::path::PathBuf;

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use super::lines::{Lines, Written, written};

/// The keys of `sink.text`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// The file, from the working directory. None or `-`: standard output.
    pub path: Option<PathBuf>,
}

/// Writes words. A restart keeps how far the file is and whether a line is open; as with `sink.jsonl` nothing is lost.
pub struct TextSink {
    path: Option<PathBuf>,
}

/// Where the sink is.
#[derive(Clone, Copy)]
struct Place {
    written: Written,
    /// The turn of an answer whose line is open; one that was cancelled leaves it so.
    open_turn: Option<u64>,
}

impl Stage for TextSink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let kept = ctx.kept::<Place>();
        let mut page = Page {
            lines: Lines::open(self.path.as_deref(), kept.map(|place| place.written))?,
            open_turn: kept.and_then(|place| place.open_turn),
            ctx: &ctx,
        };
        while let Some(packet) = ctx.recv().await {
            let Body::Text(text) = packet.body else { continue };
            if text.thought {
                continue;
            }
            let mut out = String::new();
            if page.open_turn.is_some_and(|turn| turn != packet.turn) {
                out.push('\n');
            }
            out.push_str(&text.delta);
            page.open_turn = Some(packet.turn);
            if text.finished.is_some() {
                out.push('\n');
                page.open_turn = None;
            }
            page.lines.write(&out)?;
            ctx.commit(Place {
                written: page.lines.written(),
                open_turn: page.open_turn,
            });
        }
        match page.open_turn.take() {
            Some(_) => page.lines.write("\n"),
            None => Ok(()),
        }
    }
}

/// The file, whose last line is closed however the stage ends: after a restart it is opened again where it was.
struct Page<'a> {
    lines: Lines,
    open_turn: Option<u64>,
    ctx: &'a Context,
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if self.open_turn.is_some() && self.lines.can_go_back() && !self.ctx.is_past() {
            // It fails already, and says so.
            let _ = self.lines.write("\n");
        }
    }
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: TextConfig, _: &BuildContext<'_>| Ok(TextSink { path: config.path });
    let factory = Factory::new(build)
        .input("text", &[PacketKind::Text])
        .writes(|config| written(&config.path));
    registry.add("sink.text", factory);
}
