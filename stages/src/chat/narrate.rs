//! `chat.narrate`: each picture becomes a request to narrate it, with what was said before if that is wanted.

use std::collections::VecDeque;

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Features, Message, PacketKind, Prompt, Role, Text};
use pipeline::registry::{Factory, Registry};
use serde::Deserialize;

use super::{fault_of_max_new_tokens, picture_message, text_message};

/// The keys of `chat.narrate`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NarrateConfig {
    /// What the model is asked about a picture: "Describe the screen."
    pub prompt: String,
    /// What it is asked about every picture but the first, and about pairs of frames. None: the same.
    pub change_prompt: Option<String>,
    /// What the model is told first. None: nothing.
    pub system: Option<String>,
    /// Narrations that it is reminded of: 0. They come over the input `said`.
    pub history: usize,
    /// Bound of a narration: 160.
    pub max_new_tokens: u32,
}

impl Default for NarrateConfig {
    fn default() -> Self {
        Self {
            prompt: "Describe the screen.".to_owned(),
            change_prompt: None,
            system: None,
            history: 0,
            max_new_tokens: 160,
        }
    }
}

/// Makes prompts. A restart keeps what was said and whether there was a first picture.
pub struct Narrate {
    config: NarrateConfig,
    memory: Memory,
}

/// What a narrator remembers.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// The last narrations, the newest at the end.
    said: VecDeque<String>,
    n_prompts: u64,
}

impl Narrate {
    pub fn new(config: NarrateConfig) -> Self {
        Self {
            config,
            memory: Memory::default(),
        }
    }

    /// The conversation about a picture.
    pub fn prompt(&mut self, features: Features) -> Prompt {
        let config = &self.config;
        let is_change = self.memory.n_prompts > 0 || features.before.is_some();
        self.memory.n_prompts += 1;
        let words = config.change_prompt.as_ref().filter(|_| is_change).unwrap_or(&config.prompt);
        let mut messages: Vec<Message> = config.system.iter().map(|text| text_message(Role::System, text)).collect();
        for said in &self.memory.said {
            messages.push(text_message(Role::User, &config.prompt));
            messages.push(text_message(Role::Assistant, said));
        }
        let about = Some(features.about.clone());
        messages.push(picture_message(features, words));
        Prompt {
            messages,
            about,
            max_new_tokens: config.max_new_tokens,
        }
    }

    /// Remembers a finished narration.
    pub fn hear(&mut self, text: &Text) {
        let said = text.text.trim();
        if text.finished.is_some() && !text.thought && !said.is_empty() {
            let kept = &mut self.memory.said;
            kept.push_back(said.to_owned());
            while kept.len() > self.config.history {
                kept.pop_front();
            }
        }
    }
}

impl Stage for Narrate {
    async fn run(mut self, ctx: Context) -> Result<(), StageError> {
        self.memory = ctx.kept().unwrap_or_default();
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            match packet.body {
                Body::Features(features) => {
                    let prompt = self.prompt(features);
                    ctx.send(Body::Prompt(prompt), stamp).await?;
                }
                Body::Text(text) => self.hear(&text),
                _ => {}
            }
            ctx.commit(self.memory.clone());
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: NarrateConfig, _: &_| Ok(Narrate::new(config)))
        .input("features", &[PacketKind::Features])
        .optional_input("said", &[PacketKind::Text])
        .gives(&[PacketKind::Prompt])
        .check(|config, _| {
            let mut faults: Vec<Fault> = fault_of_max_new_tokens(config.max_new_tokens).into_iter().collect();
            if config.prompt.trim().is_empty() {
                faults.push(Fault::new("prompt", "is empty", "words"));
            }
            if config.history > 64 {
                faults.push(Fault::new(
                    "history",
                    format!("is {}", config.history),
                    "narrations, from 0 to 64",
                ));
            }
            faults
        });
    registry.add("chat.narrate", factory);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use pipeline::packet::{Finish, FrameRef, Part};
    use pipeline::time::Timestamp;

    use super::*;

    fn frame_ref(index: u64) -> FrameRef {
        FrameRef {
            index,
            label: "".into(),
            pts: Timestamp(Duration::from_millis(index * 500)),
        }
    }

    fn features(index: u64, before: Option<u64>) -> Features {
        let before = before.map(frame_ref);
        Features {
            about: frame_ref(index),
            before,
            grid_thw: [1, 2, 2],
            handle: Arc::new(()),
        }
    }

    fn text(text: &str, thought: bool, finished: Option<Finish>) -> Text {
        Text {
            delta: String::new(),
            text: text.into(),
            about: None,
            thought,
            finished,
            spoken: None,
        }
    }

    /// Roles and texts; pictures as `[image]` and `[video t]`.
    fn spelled(prompt: &Prompt) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Image(_) => "[image]".to_owned(),
            Part::Video(pairs) => format!("[video {:?}]", pairs.iter().map(|pair| pair.0).collect::<Vec<_>>()),
        };
        let message = |m: &Message| format!("{:?}: {}", m.role, m.parts.iter().map(part).collect::<String>());
        prompt.messages.iter().map(message).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn later_pictures_and_pairs_get_the_change_prompt() {
        let config = NarrateConfig {
            prompt: "P".into(),
            change_prompt: Some("C".into()),
            ..NarrateConfig::default()
        };
        let mut narrate = Narrate::new(config.clone());
        assert_eq!(spelled(&narrate.prompt(features(0, None))), "User: [image]P");
        assert_eq!(spelled(&narrate.prompt(features(1, None))), "User: [image]C");
        assert_eq!(
            spelled(&Narrate::new(config).prompt(features(1, Some(0)))),
            "User: [video [0.25]]C"
        );
    }

    #[test]
    fn finished_narrations_are_remembered_up_to_the_history() {
        let config = NarrateConfig {
            prompt: "P".into(),
            system: Some("S".into()),
            history: 2,
            ..NarrateConfig::default()
        };
        let mut narrate = Narrate::new(config);
        for said in ["a", "b", "c"] {
            narrate.hear(&text(said, false, None));
            narrate.hear(&text(said, false, Some(Finish::Stop)));
        }
        narrate.hear(&text("hm", true, Some(Finish::Stop)));
        narrate.hear(&text("  ", false, Some(Finish::Stop)));
        let expected = "System: S | User: P | Assistant: b | User: P | Assistant: c | User: [image]P";
        assert_eq!(spelled(&narrate.prompt(features(0, None))), expected);
    }
}
