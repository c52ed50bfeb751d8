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
        let mut lines = Lines::open(self.path.as_deref(), kept.map(|place| place.written))?;
        let mut open_turn = kept.and_then(|place| place.open_turn);
        while let Some(packet) = ctx.recv().await {
            let Body::Text(text) = packet.body else { continue };
            if text.thought {
                continue;
            }
            let mut out = String::new();
            if open_turn.is_some_and(|turn| turn != packet.turn) {
                out.push('\n');
            }
            out.push_str(&text.delta);
            open_turn = Some(packet.turn);
            if text.finished.is_some() {
                out.push('\n');
                open_turn = None;
            }
            lines.write(&out)?;
            ctx.commit(Place {
                written: lines.written(),
                open_turn,
            });
        }
        if open_turn.is_some() {
            lines.write("\n")?;
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: TextConfig, _: &BuildContext<'_>| Ok(TextSink { path: config.path });
    let factory = Factory::new(build)
        .input("text", &[PacketKind::Text])
        .writes(|config| written(&config.path));
    registry.add("sink.text", factory);
}
