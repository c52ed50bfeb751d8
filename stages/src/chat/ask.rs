//! `chat.ask`: one question about each picture.

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, PacketKind, Prompt, Role};
use pipeline::registry::{Factory, Registry};
use serde::Deserialize;

use super::{fault_of_max_new_tokens, picture_message, text_message};

/// The keys of `chat.ask`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AskConfig {
    /// What is asked about each picture. Required.
    pub question: String,
    /// What the model is told first. None: nothing.
    pub system: Option<String>,
    /// Bound of the answer: 160.
    pub max_new_tokens: u32,
}

impl Default for AskConfig {
    fn default() -> Self {
        Self {
            question: String::new(),
            system: None,
            max_new_tokens: 160,
        }
    }
}

/// Asks. It has nothing to lose by a restart but, without `retry`, the picture in hand.
pub struct Ask {
    config: AskConfig,
}

impl Stage for Ask {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let AskConfig {
            question,
            system,
            max_new_tokens,
        } = self.config;
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Features(features) = packet.body else { continue };
            let about = Some(features.about.clone());
            let system = system.iter().map(|text| text_message(Role::System, text));
            let messages = system.chain([picture_message(features, &question)]).collect();
            ctx.send(
                Body::Prompt(Prompt {
                    messages,
                    about,
                    max_new_tokens,
                }),
                stamp,
            )
            .await?;
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: AskConfig, _: &_| Ok(Ask { config }))
        .input("features", &[PacketKind::Features])
        .gives(&[PacketKind::Prompt])
        .check(|config, _| {
            let mut faults: Vec<Fault> = fault_of_max_new_tokens(config.max_new_tokens).into_iter().collect();
            if config.question.trim().is_empty() {
                faults.push(Fault::new("question", "is missing", "words"));
            }
            faults
        });
    registry.add("chat.ask", factory);
}
