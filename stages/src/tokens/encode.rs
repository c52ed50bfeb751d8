//! `tokens.encode`: a conversation becomes ids, with room for its pictures.

use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, Features, Message, PacketKind, Part, Prompt, Tokens, TokensRole};
use pipeline::registry::{BuildContext, Factory, Need, Registry};
use pipeline::spawn;
use serde::Deserialize;
use web_time::SystemTime;

use super::chat_template::{ChatOptions, json_from_messages};
use super::media::{Medium, expand};
use crate::env::Env;
use crate::error::Result;
use crate::model::ModelText;

/// The keys of `tokens.encode`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensEncodeConfig {
    /// Let a model that thinks do so: off, which closes its thought before it begins.
    pub thinking: bool,
    /// Number pictures and videos in the prompt, where the template can: off.
    pub number_pictures: bool,
}

/// Renders and tokenizes prompts. It has nothing to lose by a restart but, without `retry`, the prompt in hand.
pub struct TokensEncode {
    config: TokensEncodeConfig,
    text: Arc<ModelText>,
    now_unix_s: Option<u64>,
}

impl Stage for TokensEncode {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Prompt(prompt) = packet.body else { continue };
            let (text, config) = (self.text.clone(), self.config.clone());
            let now_unix_s = self.now_unix_s.unwrap_or_else(unix_s);
            let tokens = spawn::blocking(move || tokens_from_prompt(&text, &config, now_unix_s, prompt)).await?;
            ctx.send(Body::Tokens(tokens), stamp).await?;
        }
        Ok(())
    }
}

fn unix_s() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// The ids of a conversation that asks for an answer at that time.
///
/// Errors: those of the template and of [`expand`].
pub fn tokens_from_prompt(text: &ModelText, config: &TokensEncodeConfig, now_unix_s: u64, prompt: Prompt) -> Result<Tokens> {
    let options = ChatOptions {
        add_vision_id: config.number_pictures,
        now_unix_s,
        ..ChatOptions::default()
    };
    let starts = text.bpe.added_token_starts();
    let mut rendered = text
        .template
        .render(&json_from_messages(&prompt.messages), &options, starts)?;
    if !config.thinking {
        rendered.close_thought();
    }
    let thinking = rendered.ends_in_thought();
    let (media, features) = media_of_messages(prompt.messages);
    let expanded = expand(&rendered, &media, &text.bpe)?;
    Ok(Tokens {
        ids: expanded.ids.into(),
        about: prompt.about,
        role: TokensRole::Prompt {
            media: expanded.first_pads.into_iter().zip(features).collect(),
            max_new_tokens: prompt.max_new_tokens,
            thinking,
        },
    })
}

/// The pictures and videos in order; and their features, a pair of frames each.
fn media_of_messages(messages: Vec<Message>) -> (Vec<Medium>, Vec<Features>) {
    let (mut media, mut all_features) = (Vec::new(), Vec::new());
    let n_tokens = |features: &Features| {
        let [t, h, w] = features.grid_thw.map(|n| n as usize);
        t * h * w / 4
    };
    for part in messages.into_iter().flat_map(|message| message.parts) {
        match part {
            Part::Text(_) => {}
            Part::Image(features) => {
                media.push(Medium::Image {
                    n_tokens: n_tokens(&features),
                });
                all_features.push(features);
            }
            Part::Video(pairs) => {
                let pairs: Vec<_> = pairs
                    .into_iter()
                    .map(|(time_s, features)| {
                        let n = n_tokens(&features);
                        all_features.push(features);
                        (time_s, n)
                    })
                    .collect();
                media.push(Medium::Video { pairs });
            }
        }
    }
    (media, all_features)
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: TokensEncodeConfig, context: &BuildContext<'_>| {
        Ok(TokensEncode {
            config,
            text: env.model(context)?.text.clone(),
            now_unix_s: env.now_unix_s,
        })
    };
    let factory = Factory::new(build)
        .input("prompts", &[PacketKind::Prompt])
        .gives(&[PacketKind::Tokens])
        .model(Need::Required);
    registry.add("tokens.encode", factory);
}
