//! `sink.jsonl`: `{"frame": n, "text": "…"}` a finished text.

use std::path::PathBuf;

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{PacketKind, Text};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use super::lines::{Lines, finished, written};
use crate::tokens::python_json::python_json;

/// The keys of `sink.jsonl`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JsonlConfig {
    /// The file, from the working directory. None or `-`: standard output.
    pub path: Option<PathBuf>,
}

/// Writes JSON lines. A restart keeps how far the file is: each text is there once. On standard output, whose past cannot be
/// changed, a line during which writing failed may be there twice.
pub struct Jsonl {
    path: Option<PathBuf>,
}

impl Stage for Jsonl {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut lines = Lines::open(self.path.as_deref(), ctx.kept())?;
        while let Some(packet) = ctx.recv().await {
            if let Some(text) = finished(packet) {
                lines.write(&line(&text)?)?;
                ctx.commit(lines.written());
            }
        }
        Ok(())
    }
}

fn line(text: &Text) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        frame: Option<u64>,
        text: &'a str,
    }
    let frame = text.about.as_ref().map(|about| about.index);
    Ok(python_json(
        &Line {
            frame,
            text: text.text.trim(),
        },
        None,
    )? + "\n")
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: JsonlConfig, _: &BuildContext<'_>| Ok(Jsonl { path: config.path });
    let factory = Factory::new(build)
        .input("text", &[PacketKind::Text])
        .writes(|config| written(&config.path));
    registry.add("sink.jsonl", factory);
}

#[cfg(test)]
mod tests {
    use pipeline::packet::{Finish, FrameRef};
    use pipeline::time::Timestamp;

    use super::*;

    #[test]
    fn a_line_has_the_frame_and_the_text() {
        let about = FrameRef {
            index: 7,
            label: "007".into(),
            pts: Timestamp::default(),
        };
        let mut text = Text {
            delta: String::new(),
            text: " a \"b\"\né ".into(),
            about: Some(about),
            thought: false,
            finished: Some(Finish::Stop),
            spoken: None,
        };
        assert_eq!(line(&text).unwrap(), "{\"frame\": 7, \"text\": \"a \\\"b\\\"\\né\"}\n");
        text.about = None;
        assert_eq!(line(&text).unwrap(), "{\"frame\": null, \"text\": \"a \\\"b\\\"\\né\"}\n");
    }
}
