//! The voice: words of the page → sound for the page, by a graph of its own that runs in the CPU worker. Cutting it from the
//! narration's graph keeps synthesis out of the way of the GPU's worker; the page is the bridge between them.

use async_channel::{Receiver, Sender};
use pipeline::actor::{Context, Stage};
use pipeline::error::{Closed, StageError};
use pipeline::graph::Graph;
use pipeline::packet::{Body, Finish, PacketKind, Text};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::runtime::{Run, RunHandle, RunOptions};
use serde::Deserialize;
use stages::Env;
use stages::tts::voices::{VoiceFiles, Voices};
use std::sync::Arc;

use super::error::Result;

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

/// Samples for the page.
#[derive(Clone, Debug)]
pub struct Sound {
    /// The turn that they belong to: it grows by one whenever the voice is hushed.
    pub turn: u64,
    pub rate_hz: u32,
    /// Mono, −1 … 1.
    pub samples: Arc<[f32]>,
}

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

/// Hands sound to the page.
struct PageSpeaker(Sender<Sound>);

impl Stage for PageSpeaker {
    async fn run(self, ctx: Context) -> std::result::Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            if let Body::Audio(audio) = packet.body {
                let sound = Sound {
                    turn: packet.turn,
                    rate_hz: audio.rate_hz,
                    samples: audio.samples,
                };
                ctx.waiting(self.0.send(sound)).await.map_err(|_| Closed)?;
            }
            ctx.done();
        }
        Ok(())
    }
}

/// Speaks `words` until their sender is gone. `started` is given what steers the run: a new turn hushes it.
///
/// Errors: a voice that cannot be read; the failure of a stage.
pub async fn speak(
    files: VoiceFiles,
    words: Receiver<String>,
    sound: Sender<Sound>,
    started: impl FnOnce(RunHandle),
) -> Result<()> {
    let mut voices = Voices::default();
    voices.add(VOICE, files);
    let env = Env {
        voices,
        ..Env::default()
    };
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(env));
    let build = move |_: NoKeys, _: &BuildContext<'_>| Ok(PageWords(words.clone()));
    registry.add("page.words", Factory::new(build).gives(&[PacketKind::Text]));
    let build = move |_: NoKeys, _: &BuildContext<'_>| Ok(PageSpeaker(sound.clone()));
    registry.add("sink.speaker", Factory::new(build).input("audio", &[PacketKind::Audio]));
    let graph = Graph::from_toml(GRAPH, &registry)?;
    let run = Run::start(&graph, &registry, RunOptions::default())?;
    started(run.handle().clone());
    run.join().await?;
    Ok(())
}
