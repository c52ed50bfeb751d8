//! `tokens.decode`: sampled ids become words as they come.

use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, Finish, PacketKind, Text, Tokens, TokensRole};
use pipeline::registry::{BuildContext, Factory, Need, Registry};
use serde::Deserialize;

use super::bpe::{Bpe, StreamDecoder};
use super::thinking::{Piece, ThinkingSplitter};
use crate::env::Env;
use crate::model::ModelText;

/// The keys of `tokens.decode`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensDecodeConfig {
    /// Pass on thoughts too, marked as such: off.
    pub thoughts: bool,
}

/// Decodes answers. A restart keeps the words of the answer under way: it goes on in the middle of a sentence, or of a character.
pub struct TokensDecode {
    config: TokensDecodeConfig,
    text: Arc<ModelText>,
}

/// An answer under way.
#[derive(Clone)]
struct Answer {
    turn: u64,
    decoder: StreamDecoder,
    splitter: ThinkingSplitter,
    thought: String,
    text: String,
}

impl Answer {
    fn new(turn: u64, thinking: bool) -> Self {
        Self {
            turn,
            decoder: StreamDecoder::default(),
            splitter: ThinkingSplitter::new(thinking),
            thought: String::new(),
            text: String::new(),
        }
    }

    /// What a piece of the answer adds; the last packet of a finished one is always of the answer.
    fn step(&mut self, bpe: &Bpe, tokens: &Tokens, finished: Option<Finish>) -> Vec<Text> {
        let mut pieces = self.splitter.step(&self.decoder.step(bpe, &tokens.ids));
        if finished.is_some() {
            pieces.extend(self.splitter.step(&self.decoder.finish()));
            pieces.extend(self.splitter.finish());
            if pieces.last().is_none_or(|piece| piece.thought) {
                pieces.push(Piece {
                    thought: false,
                    text: String::new(),
                });
            }
        }
        let n_pieces = pieces.len();
        let texts = pieces.into_iter().enumerate().map(|(index, Piece { thought, text: delta })| {
            let all = if thought { &mut self.thought } else { &mut self.text };
            all.push_str(&delta);
            let finished = finished.filter(|_| index + 1 == n_pieces);
            Text {
                delta,
                text: all.clone(),
                about: tokens.about.clone(),
                thought,
                finished,
                spoken: None,
            }
        });
        texts.collect()
    }
}

impl Stage for TokensDecode {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut current = ctx.kept::<Option<Answer>>().flatten();
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Tokens(tokens) = packet.body else { continue };
            let TokensRole::Answer { finished, thinking, .. } = tokens.role else {
                continue;
            };
            // An answer of an older turn has no end.
            let mut answer = match current.take().filter(|answer| answer.turn == stamp.turn) {
                Some(answer) => answer,
                None => Answer::new(stamp.turn, thinking),
            };
            let texts = answer.step(&self.text.bpe, &tokens, finished);
            current = finished.is_none().then_some(answer);
            for text in texts {
                if self.config.thoughts || !text.thought {
                    ctx.send(Body::Text(text), stamp).await?;
                }
            }
            ctx.commit(current.clone());
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: TokensDecodeConfig, context: &BuildContext<'_>| {
        Ok(TokensDecode {
            config,
            text: env.model(context)?.text.clone(),
        })
    };
    let factory = Factory::new(build)
        .input("tokens", &[PacketKind::Tokens])
        .gives(&[PacketKind::Text])
        .model(Need::Required);
    registry.add("tokens.decode", factory);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bpe() -> Bpe {
        let golden = goldens::folder("qwen3-vl-s1").unwrap();
        Bpe::from_json(&std::fs::read(golden.join("tokenizer.json")).unwrap()).unwrap()
    }

    fn texts(bpe: &Bpe, thinking: bool, parts: &[&[u32]]) -> Vec<Text> {
        let mut answer = Answer::new(0, thinking);
        let mut texts = Vec::new();
        for (index, ids) in parts.iter().enumerate() {
            let tokens = Tokens {
                ids: (*ids).into(),
                about: None,
                role: TokensRole::Answer {
                    logprobs: Arc::from([]),
                    finished: None,
                    thinking,
                },
            };
            let finished = (index + 1 == parts.len()).then_some(Finish::Stop);
            texts.extend(answer.step(bpe, &tokens, finished));
        }
        texts
    }

    #[test]
    fn deltas_add_up_to_the_text_however_the_ids_are_cut() {
        let bpe = bpe();
        let mut ids = bpe.ids_from_content("hm é").unwrap();
        ids.push(bpe.id("</think>").unwrap());
        ids.extend(bpe.ids_from_content("\n\nnaïve 😀!").unwrap());
        ids.push(bpe.id("<|im_end|>").unwrap());
        for size in [1, 2, 5, 100] {
            let parts: Vec<&[u32]> = ids.chunks(size).collect();
            let texts = texts(&bpe, true, &parts);
            for (thought, expected) in [(true, "hm é"), (false, "naïve 😀!")] {
                let own: Vec<&Text> = texts.iter().filter(|text| text.thought == thought).collect();
                assert_eq!(own.iter().map(|text| text.delta.as_str()).collect::<String>(), expected);
                assert_eq!(own.last().unwrap().text, expected);
            }
            let finished: Vec<bool> = texts.iter().map(|text| text.finished.is_some()).collect();
            assert_eq!(finished.iter().filter(|&&f| f).count(), 1, "{finished:?}");
            assert!(texts.last().unwrap().finished == Some(Finish::Stop) && !texts.last().unwrap().thought);
        }
    }

    #[test]
    fn an_answer_that_never_leaves_its_thought_ends_empty() {
        let bpe = bpe();
        let ids = bpe.ids_from_content("hm").unwrap();
        let texts = texts(&bpe, true, &[&ids]);
        let last = texts.last().unwrap();
        assert_eq!(
            (last.text.as_str(), last.thought, last.finished),
            ("", false, Some(Finish::Stop))
        );
        assert_eq!(texts[0].text, "hm");
    }
}
