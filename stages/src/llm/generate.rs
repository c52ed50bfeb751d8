//! `llm.generate`: prompts in ids become answers in ids, as an engine samples them.

use std::sync::Arc;

use futures::future::{Either, select};
use gpu::protocol::{FeatureHandle, FinishReason, GenerateEvent, GenerateRequest, GenerateStats, ThinkBudget};
use gpu::sampler::Sampling;
use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Features, Finish, FrameRef, Metric, Packet, PacketKind, Tokens, TokensRole};
use pipeline::registry::{BuildContext, Factory, Need, Registry};
use serde::Deserialize;

use crate::env::{Env, OnEngine};
use crate::error::{Error, Result};

/// The keys of `llm.generate`. Without any it is greedy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateConfig {
    /// 0, which is greedy. Larger is more various.
    pub temperature: f32,
    /// Only the so many most probable tokens are drawn from: 0, all.
    pub top_k: u32,
    /// Only the most probable tokens that have this probability together are drawn from: 1, all.
    pub top_p: f32,
    /// Only tokens with this share of the largest probability are drawn from: 0, all.
    pub min_p: f32,
    /// Divides the logits of tokens that were there: 1, no change.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens that were there: 0.
    pub presence_penalty: f32,
    /// Where the draws start; the same seed gives the same answers: 0.
    pub seed: u64,
    /// Tokens that a thought may have before it is closed by force: 256.
    pub max_thought_tokens: u32,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        let Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            presence_penalty,
            seed,
        } = Sampling::default();
        Self {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            presence_penalty,
            seed,
            max_thought_tokens: 256,
        }
    }
}

impl GenerateConfig {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            seed: self.seed,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let ranges = [
            ("temperature", self.temperature, 0.0..=10.0),
            ("top_p", self.top_p, f32::MIN_POSITIVE..=1.0),
            ("min_p", self.min_p, 0.0..=1.0),
            ("repetition_penalty", self.repetition_penalty, 0.1..=10.0),
            ("presence_penalty", self.presence_penalty, -10.0..=10.0),
        ];
        let outside = ranges.into_iter().filter(|(_, value, range)| !range.contains(value));
        let fault = |(key, value, range): (&str, f32, std::ops::RangeInclusive<f32>)| {
            let start = if key == "top_p" {
                "above 0".to_owned()
            } else {
                format!("from {}", range.start())
            };
            Fault::new(key, format!("is {value}"), format!("a number {start} to {}", range.end()))
        };
        outside.map(fault).collect()
    }
}

/// Answers one prompt after another; those that allow no token are only read, as long as nothing else comes, and nothing is sent for
/// them. A restart keeps how much of the answer under way was told: with `retry` the prompt is asked
/// again, what was told of its answer is passed over, and the rest follows. Draws of one seed are the same, so it is the same answer.
pub struct Generate {
    config: GenerateConfig,
    model: OnEngine,
}

/// How far an answer is that is being told.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Of the prompt's packet.
    seq: u64,
    n_ids: usize,
    /// On its way.
    piece: Option<(Vec<u32>, Vec<f32>)>,
}

impl Told {
    fn sends(&mut self, ids: &[u32], logprobs: &[f32], ctx: &Context) {
        self.piece = Some((ids.to_vec(), logprobs.to_vec()));
        ctx.keep(self.clone());
    }

    fn sent(&mut self, ctx: &Context) {
        self.n_ids += self.piece.take().map_or(0, |(ids, _)| ids.len());
        ctx.keep(self.clone());
    }
}

/// A prompt as it came.
struct Asked {
    seq: u64,
    stamp: Stamp,
    about: Option<FrameRef>,
    thinking: bool,
}

impl Stage for Generate {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut next = None;
        loop {
            let packet = match next.take() {
                Some(packet) => packet,
                None => match ctx.recv().await {
                    Some(packet) => packet,
                    None => return Ok(()),
                },
            };
            let stamp = packet.stamp();
            let Body::Tokens(tokens) = packet.body else { continue };
            let TokensRole::Prompt {
                media,
                max_new_tokens,
                thinking,
            } = tokens.role
            else {
                continue;
            };
            let end_id = self.model.text.think_end_id;
            let budget = |end_id| ThinkBudget {
                max_tokens: self.config.max_thought_tokens,
                end_id,
            };
            let request = GenerateRequest {
                model: self.model.info.id,
                sequence: None,
                tokens: tokens.ids,
                media: media.into_iter().map(handle_of).collect::<Result<_>>()?,
                sampling: self.config.sampling(),
                max_new_tokens,
                stop_ids: Vec::new(),
                thinking: end_id.filter(|_| thinking).map(budget),
            };
            if max_new_tokens == 0 {
                next = self.read(&ctx, request).await?;
                continue;
            }
            self.answer(
                &ctx,
                request,
                Asked {
                    seq: packet.seq,
                    stamp,
                    about: tokens.about,
                    thinking,
                },
            )
            .await?;
        }
    }
}

/// Whether it is a prompt that is only read.
fn is_ahead(packet: &Packet) -> bool {
    matches!(&packet.body, Body::Tokens(tokens) if matches!(tokens.role, TokensRole::Prompt { max_new_tokens: 0, .. }))
}

impl Generate {
    /// Reads a prompt into the cache, where the next one finds what both have from the start; what it has otherwise is forgotten then.
    /// Gives up when a prompt comes that waits for an answer. That one is returned, or else the last one to read.
    async fn read(&self, ctx: &Context, request: GenerateRequest) -> Result<Option<Packet>, StageError> {
        // An engine answers with one token at least, which nobody hears of.
        let request = GenerateRequest {
            max_new_tokens: 1,
            ..request
        };
        let events = self.model.engine.generate(request).await?;
        let mut next = None;
        loop {
            let packet = std::pin::pin!(ctx.recv());
            match select(packet, std::pin::pin!(events.recv())).await {
                Either::Left((Some(packet), _)) => {
                    let is_last = !is_ahead(&packet);
                    next = Some(packet);
                    if is_last {
                        return Ok(next);
                    }
                }
                Either::Left((None, _)) => return Ok(next),
                Either::Right((Ok(Ok(GenerateEvent::Finished { .. })), _)) => return Ok(next),
                Either::Right((Ok(Ok(_)), _)) => {}
                // Whoever asks for an answer hears of it.
                Either::Right((Ok(Err(_)) | Err(_), _)) => return Ok(next),
            }
        }
    }

    /// Streams one answer; gives up when its turn is over.
    async fn answer(&self, ctx: &Context, request: GenerateRequest, asked: Asked) -> Result<(), StageError> {
        let mut told = ctx.kept::<Told>().filter(|told| told.seq == asked.seq).unwrap_or_default();
        told.seq = asked.seq;
        if let Some((ids, logprobs)) = told.piece.clone() {
            ctx.send(answer_body(&asked, ids, logprobs, None), asked.stamp).await?;
            told.sent(ctx);
        }
        let n_before = told.n_ids;
        let mut n_heard = 0;
        let events = self.model.engine.generate(request).await?;
        loop {
            let over = std::pin::pin!(ctx.turn().over(asked.stamp.turn));
            let event = match select(over, std::pin::pin!(events.recv())).await {
                // Dropping `events` stops the engine between two steps.
                Either::Left(_) => return Ok(()),
                Either::Right((Ok(event), _)) => event?,
                Either::Right((Err(_), _)) => return Err(gpu::Error::ActorGone.into()),
            };
            match event {
                GenerateEvent::Prefill { .. } => {}
                GenerateEvent::Tokens { mut ids, mut logprobs } => {
                    // What an incarnation before has told.
                    let known = n_before.saturating_sub(n_heard).min(ids.len());
                    n_heard += ids.len();
                    ids.drain(..known);
                    logprobs.drain(..known.min(logprobs.len()));
                    if ids.is_empty() {
                        continue;
                    }
                    told.sends(&ids, &logprobs, ctx);
                    ctx.send(answer_body(&asked, ids, logprobs, None), asked.stamp).await?;
                    told.sent(ctx);
                }
                GenerateEvent::Finished { reason, stats } => {
                    let finished = match reason {
                        FinishReason::Stop => Finish::Stop,
                        FinishReason::Length => Finish::Length,
                        FinishReason::Cancelled => Finish::Cancelled,
                    };
                    tell(ctx, &stats, asked.stamp).await?;
                    ctx.send(answer_body(&asked, Vec::new(), Vec::new(), Some(finished)), asked.stamp)
                        .await?;
                    return Ok(());
                }
            }
        }
    }
}

fn answer_body(asked: &Asked, ids: Vec<u32>, logprobs: Vec<f32>, finished: Option<Finish>) -> Body {
    let role = TokensRole::Answer {
        logprobs: logprobs.into(),
        finished,
        thinking: asked.thinking,
    };
    Body::Tokens(Tokens {
        ids: ids.into(),
        about: asked.about.clone(),
        role,
    })
}

/// Numbers about an answer, for whoever reads metrics over a link, and for the run's subscribers.
async fn tell(ctx: &Context, stats: &GenerateStats, stamp: Stamp) -> Result<(), StageError> {
    let rate = |n: usize, seconds: f64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let computed = stats.prompt_tokens.saturating_sub(stats.reused_tokens);
    let metrics = [
        ("prompt_tokens", stats.prompt_tokens as f64),
        ("reused_tokens", stats.reused_tokens as f64),
        ("new_tokens", stats.new_tokens as f64),
        ("prefill_tokens_per_s", rate(computed, stats.prefill_s)),
        ("tokens_per_s", rate(stats.new_tokens, stats.decode_s)),
    ];
    tracing::debug!(stage = ctx.name(), n_tokens = stats.new_tokens, "answer finished");
    for (name, value) in metrics {
        ctx.reporter().metric(name, value);
        if ctx.is_read(PacketKind::Metric) {
            ctx.send(
                Body::Metric(Metric {
                    of: ctx.name().to_owned(),
                    name,
                    value,
                }),
                stamp,
            )
            .await?;
        }
    }
    Ok(())
}

fn handle_of((index, features): (usize, Features)) -> Result<(usize, FeatureHandle)> {
    let handle = features
        .handle
        .downcast_ref::<FeatureHandle>()
        .ok_or(Error::ForeignFeatures)?;
    Ok((index, handle.clone()))
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: GenerateConfig, context: &BuildContext<'_>| {
        Ok(Generate {
            config,
            model: env.on_engine(context)?,
        })
    };
    let factory = Factory::new(build)
        .input("prompts", &[PacketKind::Tokens])
        .gives(&[PacketKind::Tokens, PacketKind::Metric])
        .model(Need::Required)
        .engine(Need::Required)
        .check(|config, _| config.faults());
    registry.add("llm.generate", factory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_faults() {
        assert!(GenerateConfig::default().faults().is_empty());
        let wrong = GenerateConfig {
            temperature: -1.0,
            top_p: 0.0,
            min_p: f32::NAN,
            ..GenerateConfig::default()
        };
        let faults = wrong.faults();
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["temperature", "top_p", "min_p"]);
        assert_eq!(faults[1].accepted, "a number above 0 to 1");
    }
}
