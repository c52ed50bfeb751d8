//! Reading aloud: words of the page → sound, by a graph of its own that runs in the voice's worker. Cutting it from the narration's
//! graph keeps synthesis out of the way of the GPU's worker; the page says what is worth reading.

use async_channel::{Receiver, Sender};
use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::graph::Graph;
use pipeline::packet::{Body, Finish, PacketKind, Text};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::runtime::{Run, RunHandle, RunOptions};
use serde::Deserialize;
use stages::Env;
use stages::tts::voices::{VoiceFiles, Voices};
use std::sync::Arc;

use super::devices::Devices;
use super::error::Result;
use super::speaker;
use crate::protocol::ToPage;

/// The voice that travels with the page.
pub const VOICE: &str = "joe";

const GRAPH: &str = r#"
[pipeline]
name = "voice"

[stage.words]
type = "page.words"

[stage.voice]
type  = "tts.piper"
input = { from = "words", size = 1, when_full = "drop_oldest" }

[stage.speaker]
type  = "sink.speaker"
input = { from = "voice", size = 2, when_full = "wait" }
"#;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoKeys {}

/// Gives the page's words, each text whole.
struct PageWords(Receiver<String>);

impl Stage for PageWords {
    async fn run(self, ctx: Context) -> std::result::Result<(), StageError> {
        while let Some(Ok(text)) = ctx.or_stop(ctx.waiting(self.0.recv())).await {
            let body = Body::Text(Text {
                delta: text.clone(),
                text,
                about: None,
                thought: false,
                finished: Some(Finish::Stop),
                spoken: None,
            });
            ctx.send(body, ctx.stamp()).await?;
        }
        Ok(())
    }
}

/// Speaks `words` until their sender is gone. `started` is given what steers the run: a new turn hushes it.
///
/// Errors: no loudspeaker among `devices`; a voice that cannot be read; the failure of a stage.
pub async fn speak(
    files: VoiceFiles,
    words: Receiver<String>,
    devices: &Devices,
    page: &Sender<ToPage>,
    started: impl FnOnce(RunHandle),
) -> Result<()> {
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(env_with(files)));
    let build = move |_: NoKeys, _: &BuildContext<'_>| Ok(PageWords(words.clone()));
    registry.add("page.words", Factory::new(build).gives(&[PacketKind::Text]));
    speaker::register(&mut registry, devices, page);
    let graph = Graph::from_toml(GRAPH, &registry)?;
    let run = Run::start(&graph, &registry, RunOptions::default())?;
    started(run.handle().clone());
    run.join().await?;
    Ok(())
}

/// Surroundings with the voice that travels with the page.
pub fn env_with(files: VoiceFiles) -> Env {
    let mut voices = Voices::default();
    voices.add(VOICE, files);
    Env {
        voices,
        ..Env::default()
    }
}
