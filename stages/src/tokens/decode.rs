//! `tokens.decode`: sampled ids become words as they come.

use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Finish, PacketKind, Text, Tokens, TokensRole};
use pipeline::registry::{BuildContext, Factory, Need, Registry};
use serde::Deserialize;

use super::bpe::{Bpe, StreamDecoder};
use super::guard::QuoteGuard;
use super::thinking::{Piece, ThinkingSplitter};
use crate::env::Env;
use crate::model::ModelText;

/// The keys of `tokens.decode`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensDecodeConfig {
    /// Pass on thoughts too, marked as such: off.
    pub thoughts: bool,
    /// Probability that each token of a quotation must have, or the quotation ends before it: 0, all stand.
    pub doubt: f32,
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
    guard: Option<QuoteGuard>,
    thought: String,
    text: String,
}

impl Answer {
    fn new(turn: u64, thinking: bool, doubt: f32) -> Self {
        Self {
            turn,
            decoder: StreamDecoder::default(),
            splitter: ThinkingSplitter::new(thinking),
            guard: (doubt > 0.0).then(|| QuoteGuard::new(doubt)),
            thought: String::new(),
            text: String::new(),
        }
    }

    /// The words of `ids`, without what the guard keeps back. `logprobs`: of each id; one that is missing is certain.
    fn words(&mut self, bpe: &Bpe, ids: &[u32], logprobs: &[f32]) -> String {
        let Some(guard) = &mut self.guard else {
            return self.decoder.step(bpe, ids);
        };
        let certain = std::iter::repeat(&0.0);
        let steps = ids.iter().zip(logprobs.iter().chain(certain));
        steps
            .map(|(&id, &logprob)| guard.step(&self.decoder.step(bpe, &[id]), logprob))
            .collect()
    }

    /// What was kept back until the answer's end.
    fn last_words(&mut self) -> String {
        let rest = self.decoder.finish();
        match &mut self.guard {
            Some(guard) => guard.step(&rest, 0.0) + &guard.finish(),
            None => rest,
        }
    }

    /// What a piece of the answer adds; the last packet of a finished one is always of the answer.
    fn step(&mut self, bpe: &Bpe, tokens: &Tokens, logprobs: &[f32], finished: Option<Finish>) -> Vec<Text> {
        let words = self.words(bpe, &tokens.ids, logprobs);
        let mut pieces = self.splitter.step(&words);
        if finished.is_some() {
            let words = self.last_words();
            pieces.extend(self.splitter.step(&words));
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
            let TokensRole::Answer {
                ref logprobs,
                finished,
                thinking,
            } = tokens.role
            else {
                continue;
            };
            // An answer of an older turn has no end.
            let mut answer = match current.take().filter(|answer| answer.turn == stamp.turn) {
                Some(answer) => answer,
                None => Answer::new(stamp.turn, thinking, self.config.doubt),
            };
            let texts = answer.step(&self.text.bpe, &tokens, logprobs, finished);
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
        .check(|config, _| {
            let is_probability = (0.0..=1.0).contains(&config.doubt);
            let fault = || Fault::new("doubt", format!("is {}", config.doubt), "a probability from 0 to 1");
            (!is_probability).then(fault).into_iter().collect()
        })
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
        let mut answer = Answer::new(0, thinking, 0.0);
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
            texts.extend(answer.step(bpe, &tokens, &[], finished));
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
    fn a_quotation_ends_before_its_doubtful_end_however_the_ids_are_cut() {
        let bpe = bpe();
        let certain = bpe.ids_from_content("It says \"naïve").unwrap();
        let doubtful = bpe.ids_from_content(" guess").unwrap();
        let after = bpe.ids_from_content("\" here").unwrap();
        let logprobs: Vec<f32> = [(&certain, -0.1), (&doubtful, -2.0), (&after, -0.1)]
            .iter()
            .flat_map(|(ids, logprob)| vec![*logprob; ids.len()])
            .collect();
        let ids: Vec<u32> = [certain, doubtful, after].concat();
        for size in [1, 2, 100] {
            let mut answer = Answer::new(0, false, 0.5);
            let mut told = String::new();
            for (ids, logprobs) in ids.chunks(size).zip(logprobs.chunks(size)) {
                told.push_str(&answer.words(&bpe, ids, logprobs));
            }
            told.push_str(&answer.last_words());
            assert_eq!(told, "It says \"naïve\" here");
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
