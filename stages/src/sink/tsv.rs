//! `sink.tsv`: `name<TAB>text` a finished text, white space collapsed.

use std::path::PathBuf;

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{PacketKind, Text};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use super::lines::{Lines, collapsed, finished, written};

/// The keys of `sink.tsv`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TsvConfig {
    /// The file, from the working directory. None or `-`: standard output.
    pub path: Option<PathBuf>,
}

/// Writes tab-separated lines. A restart keeps and loses what one of `sink.jsonl` does.
pub struct Tsv {
    path: Option<PathBuf>,
}

impl Stage for Tsv {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut lines = Lines::open(self.path.as_deref(), ctx.kept())?;
        while let Some(packet) = ctx.recv().await {
            if let Some(text) = finished(packet) {
                lines.write(&line(&text))?;
                ctx.commit(lines.written());
            }
        }
        Ok(())
    }
}

fn line(text: &Text) -> String {
    let label = text.about.as_ref().map(|about| collapsed(&about.label)).unwrap_or_default();
    format!("{label}\t{}\n", collapsed(&text.text))
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: TsvConfig, _: &BuildContext<'_>| Ok(Tsv { path: config.path });
    let factory = Factory::new(build)
        .input("text", &[PacketKind::Text])
        .writes(|config| written(&config.path));
    registry.add("sink.tsv", factory);
}

#[cfg(test)]
mod tests {
    use pipeline::packet::{Finish, FrameRef};
    use pipeline::time::Timestamp;

    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        let about = FrameRef {
            index: 7,
            label: "a\tb".into(),
            pts: Timestamp::default(),
        };
        let text = Text {
            delta: String::new(),
            text: " one\ttwo\n\nthree ".into(),
            about: Some(about),
            thought: false,
            finished: Some(Finish::Stop),
            spoken: None,
        };
        assert_eq!(line(&text), "a b\tone two three\n");
    }
}
