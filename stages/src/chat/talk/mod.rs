//! `chat.talk`: each turn of the user becomes a prompt, with the conversation before it, and with what is on the screen if they
//! ask about that. What they have said so far of a turn becomes one that is only read.

pub mod history;

use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Features, Message, PacketKind, Prompt, Role};
use pipeline::registry::{BuildContext, Factory, Need, Registry};
use serde::Deserialize;

use self::history::{Exchange, History};
use super::{fault_of_max_new_tokens, picture_message, text_message};
use crate::env::Env;
use crate::model::ModelText;

/// The keys of `chat.talk`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TalkConfig {
    /// What the model is told first. None: nothing.
    pub system: Option<String>,
    /// Bound of an answer: 160.
    pub max_new_tokens: u32,
    /// Tokens that the conversation before a turn may have; the oldest turns are left out: 2048.
    pub history_tokens: usize,
    /// A turn with one of these words is about the screen, and has the newest picture with it.
    pub screen_words: Vec<String>,
}

impl Default for TalkConfig {
    fn default() -> Self {
        let words = "screen window picture page desktop display see look looking show shows showing read terminal error";
        Self {
            system: None,
            max_new_tokens: 160,
            history_tokens: 2048,
            screen_words: words.split(' ').map(str::to_owned).collect(),
        }
    }
}

impl TalkConfig {
    fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = fault_of_max_new_tokens(self.max_new_tokens).into_iter().collect();
        if self.history_tokens > 1 << 20 {
            let found = format!("is {}", self.history_tokens);
            faults.push(Fault::new("history_tokens", found, "tokens, from 0 to 1048576"));
        }
        faults
    }
}

/// Tokens of a template around the two messages of a turn, and to spare.
const AROUND_TOKENS: usize = 16;

/// Converses. A restart keeps what was said and heard.
pub struct Talk {
    config: TalkConfig,
    text: Arc<ModelText>,
}

impl Talk {
    /// The conversation, for an answer to what the user said last.
    fn prompt(&self, history: &History, seen: Option<&Features>) -> Prompt {
        let config = &self.config;
        let n_tokens = |text: &str| self.text.bpe.ids_from_content(text).map_or(text.len(), |ids| ids.len());
        let cost = |exchange: &Exchange| n_tokens(&exchange.user) + n_tokens(&exchange.heard) + AROUND_TOKENS;
        let mut messages: Vec<Message> = config.system.iter().map(|text| text_message(Role::System, text)).collect();
        messages.extend(history.before(config.history_tokens, cost));
        let question = history.question();
        let picture = seen.filter(|_| asks_about_screen(question, &config.screen_words)).cloned();
        let about = picture.as_ref().map(|features| features.about.clone());
        messages.push(match picture {
            Some(features) => picture_message(features, question),
            None => text_message(Role::User, question),
        });
        Prompt {
            messages,
            about,
            max_new_tokens: config.max_new_tokens,
        }
    }
}

/// Whether one of `words` is among those of `text`.
fn asks_about_screen(text: &str, words: &[String]) -> bool {
    let mut said = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    said.any(|said| words.iter().any(|word| word.eq_ignore_ascii_case(said)))
}

impl Stage for Talk {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut history: History = ctx.kept().unwrap_or_default();
        let mut seen = None;
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            match packet.body {
                // It comes many times a second, and mostly says the same.
                Body::Played(played) if !history.hears(&played) => {
                    ctx.done();
                    continue;
                }
                Body::Features(features) => seen = Some(features),
                Body::Text(text) if text.finished.is_none() => {
                    let mut ahead = history.clone();
                    ahead.says(stamp.turn, &text.text);
                    let prompt = Prompt {
                        max_new_tokens: 0,
                        ..self.prompt(&ahead, seen.as_ref())
                    };
                    ctx.send(Body::Prompt(prompt), stamp).await?;
                }
                Body::Text(text) => {
                    history.says(stamp.turn, &text.text);
                    let prompt = self.prompt(&history, seen.as_ref());
                    ctx.send(Body::Prompt(prompt), stamp).await?;
                }
                _ => {}
            }
            ctx.commit(history.clone());
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: TalkConfig, context: &BuildContext<'_>| {
        Ok(Talk {
            config,
            text: env.model(context)?.text.clone(),
        })
    };
    let factory = Factory::new(build)
        .input("text", &[PacketKind::Text])
        .optional_input("played", &[PacketKind::Played])
        .optional_input("features", &[PacketKind::Features])
        .gives(&[PacketKind::Prompt])
        .model(Need::Required)
        .check(|config, _| config.faults());
    registry.add("chat.talk", factory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_is_asked_about_by_its_words() {
        let words = TalkConfig::default().screen_words;
        assert!(asks_about_screen("What's on the Screen?", &words));
        assert!(asks_about_screen("can you see it", &words));
        assert!(!asks_about_screen("I am seeing a screenplay", &words));
        assert!(!asks_about_screen("", &words));
    }
}
