//! One answer at a time: prompt in chunks, then (`decode`) steps in batches of a few milliseconds, two in flight.
//!
//! An answer that a lost device interrupts begins anew with the ids that its receiver was told behind the prompt, and with
//! the step count, the thought and the penalties as they were then; so the next id is the one that would have come.

use std::collections::VecDeque;

use async_channel::{Sender, TrySendError};
use pipeline::time::Timestamp;

use super::decode::Decode;
use super::work::{Encoded, Held, Loaded, Work, find};
use super::{GpuActor, fence, is_lost};
use crate::engine::{Engine, NO_THOUGHT, PreparedId, ReadFuture, State};
use crate::error::{Error, Result};
use crate::kv_cache::TokenKey;
use crate::model::qwen3_vl::buckets::buckets;
use crate::model::qwen3_vl::mrope::{Positions, positions};
use crate::model::qwen3_vl::runner::{Feed, MediaRows};
use crate::protocol::{FinishReason, GenerateEvent, GenerateRequest, GenerateStats, SequenceId};
use crate::sampler::{MAX_STOP, SamplingWords};

/// An answer that waits, is under way, or waits for its receiver.
pub(super) struct Generation {
    pub(super) request: GenerateRequest,
    pub(super) reply: Sender<Result<GenerateEvent>>,
    /// What the receiver has not taken yet; tokens are merged, so this stays short.
    backlog: VecDeque<Result<GenerateEvent>>,
    pub(super) phase: Phase,
    pub(super) stats: GenerateStats,
    /// When its turn came.
    pub(super) started: Option<Timestamp>,
    /// When its first id came.
    pub(super) decoding: Option<Timestamp>,
    /// The ids that were told, and with them prompt tokens that were told to be in the cache.
    pub(super) ids: Vec<u32>,
    prefill_told: usize,
}

pub(super) enum Phase {
    Waiting,
    Prefill(Prefill),
    Decode(Decode),
}

pub(super) struct Prefill {
    sequence: SequenceId,
    /// The prompt, and what was answered before a device was lost.
    tokens: Vec<u32>,
    keys: Vec<TokenKey>,
    positions: Positions,
    /// `(first token, bucket, tokens)` still to be fed.
    stretches: VecDeque<(usize, usize, usize)>,
    /// The stretch of which slices are still to be played.
    feeding: Option<Feeding>,
    behind: Option<ReadFuture>,
}

/// A stretch of prompt under way. Its tokens count as being in the cache when all of its slices are queued.
struct Feeding {
    first: usize,
    end: usize,
    prepared: PreparedId,
    next_slice: usize,
}

impl Generation {
    pub(super) fn new(request: GenerateRequest, reply: Sender<Result<GenerateEvent>>) -> Self {
        Self {
            request,
            reply,
            backlog: VecDeque::new(),
            phase: Phase::Waiting,
            stats: GenerateStats::default(),
            started: None,
            decoding: None,
            ids: Vec::new(),
            prefill_told: 0,
        }
    }

    /// Its prompt or its steps are being played.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.phase, Phase::Waiting)
    }

    /// What was under way on an engine is gone.
    pub(super) fn begin_anew(&mut self) {
        self.phase = Phase::Waiting;
    }

    /// The last that is told.
    pub(super) fn fail(&mut self, error: Error) {
        self.backlog.push_back(Err(error));
    }

    /// Gives the receiver what it has room for; `true` when nothing is left or nobody listens.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(event) = self.backlog.pop_front() {
            match self.reply.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return false;
                }
                Err(TrySendError::Closed(_)) => {
                    self.backlog.clear();
                }
            }
        }
        true
    }

    /// Waits until the receiver took the next event.
    pub(super) async fn wait_for_room(&mut self) {
        // Sent first and removed then: if this future is dropped half-way, the event is still here.
        if let Some(event) = self.backlog.front().cloned() {
            let _ = self.reply.send(event).await;
            self.backlog.pop_front();
        }
    }

    pub(super) fn tell(&mut self, event: GenerateEvent) {
        if let (
            GenerateEvent::Tokens { ids, logprobs },
            Some(Ok(GenerateEvent::Tokens {
                ids: old,
                logprobs: old_logprobs,
            })),
        ) = (&event, self.backlog.back_mut())
        {
            old.extend(ids);
            old_logprobs.extend(logprobs);
        } else {
            self.backlog.push_back(Ok(event));
        }
        self.flush();
    }

    /// Says how much of the prompt is in the cache, unless that was said before a device was lost.
    fn tell_prefill(&mut self, fed: usize) {
        let total = self.stats.prompt_tokens;
        let done = fed.min(total);
        if done > self.prefill_told {
            self.prefill_told = done;
            let reused = self.stats.reused_tokens;
            self.tell(GenerateEvent::Prefill { done, reused, total });
        }
    }
}

impl Work {
    /// An answer is over; it stays until its receiver took all of it.
    pub(super) fn close(&mut self, mut generation: Generation) {
        if !generation.flush() {
            self.closing.push_back(generation);
        }
    }
}

impl<E: Engine> GpuActor<E> {
    /// Moves the answer that is due on by a slice of its prompt or a batch of steps.
    ///
    /// Errors: [`Error::DeviceLost`]; the answer stays, and goes on after what was told of it.
    pub(super) async fn generate_round(&mut self) -> Result<()> {
        let Some(mut generation) = self.work.generations.pop_front() else {
            return Ok(());
        };
        generation.flush();
        let advanced = self.advance(&mut generation).await;
        match self.diagnosed(advanced).await {
            Ok(false) => self.work.generations.push_front(generation),
            Ok(true) => self.work.close(generation),
            Err(error) if is_lost(&error) => {
                self.work.generations.push_front(generation);
                return Err(error);
            }
            Err(error) => {
                generation.fail(error);
                self.work.close(generation);
            }
        }
        Ok(())
    }

    /// One step of the answer's phases; `true` when it is over.
    async fn advance(&mut self, generation: &mut Generation) -> Result<bool> {
        let cancelled = generation.reply.is_closed();
        match std::mem::replace(&mut generation.phase, Phase::Waiting) {
            Phase::Waiting if cancelled => Ok(true),
            Phase::Waiting => {
                generation.started.get_or_insert(self.work.timing.now());
                if !self.media_are_here(&generation.request)? {
                    return Ok(false);
                }
                match self.begin(generation) {
                    Ok(prefill) => generation.phase = Phase::Prefill(prefill),
                    // Its cache was full when the device was lost: the last id that was told was not fed.
                    Err(Error::ContextFull { .. }) if !generation.ids.is_empty() => {
                        self.finish(generation, FinishReason::Length);
                        return Ok(true);
                    }
                    Err(error) => return Err(error),
                }
                Ok(false)
            }
            Phase::Prefill(_) if cancelled => Ok(true),
            Phase::Prefill(prefill) => {
                generation.phase = self.feed(generation, prefill).await?;
                Ok(false)
            }
            Phase::Decode(decode) => self.decode(generation, decode, cancelled).await,
        }
    }

    /// Whether all features of the prompt are on the engine; those that are not are made.
    fn media_are_here(&mut self, request: &GenerateRequest) -> Result<bool> {
        let mut all = true;
        for (_, features) in &request.media {
            if features.model != request.model || !self.work.keeps(&features.key) {
                return Err(Error::Prompt {
                    message: "features of another model or engine".into(),
                });
            }
            all &= self.are_here(features.key.id)?;
        }
        Ok(all)
    }

    /// Checks the request, finds its sequence and how much of what is to be fed is there already.
    fn begin(&mut self, generation: &mut Generation) -> Result<Prefill> {
        let request = &generation.request;
        let loaded = self.work.loaded(request.model)?;
        let config = &loaded.runner.model.config;
        let n_prompt = request.tokens.len();
        if n_prompt == 0 || request.max_new_tokens == 0 {
            return Err(Error::Prompt {
                message: "it is empty, or no new token is allowed".into(),
            });
        }
        if let Some(id) = request.tokens.iter().find(|&&id| id as usize >= config.text.vocab_size) {
            return Err(Error::Prompt {
                message: format!("token {id} is not in the vocabulary of {}", config.text.vocab_size),
            });
        }
        let tokens: Vec<u32> = request.tokens.iter().chain(&generation.ids).copied().collect();
        let n = tokens.len();
        let grids: Vec<_> = request.media.iter().map(|(at, features)| (*at, features.grid_thw)).collect();
        // The prompt alone has to have room for its media; what was answered counts up from there.
        positions(n_prompt, &grids, config.vision.spatial_merge_size)?;
        let positions = positions(n, &grids, config.vision.spatial_merge_size)?;
        let mut keys: Vec<_> = tokens.iter().map(|&id| TokenKey { id, features: 0 }).collect();
        for (at, features) in &request.media {
            keys[*at..*at + features.key.n_tokens]
                .iter_mut()
                .for_each(|key| key.features = features.key.id);
        }

        let sequence = request.sequence.unwrap_or_else(|| loaded.cache.own(&keys));
        let reused = loaded.cache.shared_prefix(sequence, &keys)?.min(n - 1);
        loaded.cache.truncate(sequence, reused)?;
        let copies = loaded.cache.reserve(sequence, n)?;
        let words = sampling_words(request, &stop_ids(request, loaded));
        let loaded = find(&mut self.work.models, request.model)?;
        let blocks = loaded.cache.blocks(sequence)?;
        loaded.runner.set_blocks(&mut self.engine, blocks, &copies)?;
        loaded.runner.set_sampling(&mut self.engine, &words, &generation.ids)?;

        let mut at = reused;
        let stretches = buckets(n - reused)
            .into_iter()
            .map(|(bucket, tokens)| {
                at += tokens;
                (at - tokens, bucket, tokens)
            })
            .collect();
        if generation.ids.is_empty() {
            generation.stats = GenerateStats {
                prompt_tokens: n,
                reused_tokens: reused,
                ..GenerateStats::default()
            };
        }
        Ok(Prefill {
            sequence,
            tokens,
            keys,
            positions,
            stretches,
            feeding: None,
            behind: None,
        })
    }

    /// Queues the next slice of what is to be fed, and after the last one the choice of an id. At most two are in flight.
    async fn feed(&mut self, generation: &mut Generation, mut prefill: Prefill) -> Result<Phase> {
        let request = &generation.request;
        let Work { models, features, .. } = &mut self.work;
        let loaded = find(models, request.model)?;
        let mut feeding = match prefill.feeding.take() {
            Some(feeding) => feeding,
            None => {
                let Some((first, bucket, n)) = prefill.stretches.pop_front() else {
                    return Err(Error::Prompt {
                        message: "nothing to feed".into(),
                    });
                };
                let end = first + n;
                let media = request.media.iter().map(|(at, handle)| (*at, features.get(&handle.key.id)));
                let feed = Feed {
                    bucket,
                    ids: &prefill.tokens[first..end],
                    pos: [0, 1, 2].map(|axis| &prefill.positions.axes[axis][first..end]),
                    media: media_rows(media, first, end)?,
                    state: state(request, &generation.ids, first, n, prefill.positions.next),
                };
                Feeding {
                    first,
                    end,
                    prepared: loaded.runner.begin_feed(&mut self.engine, &feed)?,
                    next_slice: 0,
                }
            }
        };
        let (first, end) = (feeding.first, feeding.end);
        self.engine.play_slice(feeding.prepared, feeding.next_slice)?;
        feeding.next_slice += 1;
        let is_fed = feeding.next_slice >= self.engine.n_slices(feeding.prepared);
        if is_fed {
            loaded.cache.push(prefill.sequence, &prefill.keys[first..end])?;
        }
        if let Some(behind) = prefill.behind.take() {
            behind.await?;
        }
        if !is_fed {
            prefill.feeding = Some(feeding);
            prefill.behind = Some(fence(&mut self.engine, loaded));
            return Ok(Phase::Prefill(prefill));
        }
        if !prefill.stretches.is_empty() {
            prefill.behind = Some(fence(&mut self.engine, loaded));
            generation.tell_prefill(end);
            return Ok(Phase::Prefill(prefill));
        }
        loaded.runner.first_token(&mut self.engine)?;
        let decode = Decode::new(
            &mut self.engine,
            prefill.sequence,
            stop_ids(request, loaded),
            generation.ids.len(),
            &loaded.runner,
        );
        generation.tell_prefill(end);
        Ok(Phase::Decode(decode))
    }
}

fn stop_ids(request: &GenerateRequest, loaded: &Loaded) -> Vec<u32> {
    let mut ids = if request.stop_ids.is_empty() {
        loaded.info.stop_ids.clone()
    } else {
        request.stop_ids.clone()
    };
    ids.truncate(MAX_STOP);
    ids
}

fn sampling_words(request: &GenerateRequest, stop_ids: &[u32]) -> SamplingWords {
    let sampling = &request.sampling;
    let mut stop = [u32::MAX; MAX_STOP];
    stop[..stop_ids.len()].copy_from_slice(stop_ids);
    SamplingWords {
        temperature: sampling.temperature,
        top_k: sampling.top_k,
        top_p: sampling.top_p,
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        presence_penalty: sampling.presence_penalty,
        n_stop: stop_ids.len() as u32,
        pad: 0,
        stop,
    }
}

/// The state before tokens `first .. first + n` are fed, when `told` were sampled before.
fn state(request: &GenerateRequest, told: &[u32], first: usize, n: usize, next_position: u32) -> State {
    let (think_left, think_end) = request
        .thinking
        .map_or((NO_THOUGHT, 0), |budget| (budget.max_tokens, budget.end_id));
    State {
        kv_len: first as u32,
        n_tokens: n as u32,
        position: next_position,
        done: 0,
        step: told.len() as u32,
        max_steps: request.max_new_tokens,
        seed: [request.sampling.seed as u32, (request.sampling.seed >> 32) as u32],
        last_id: told.last().copied().unwrap_or(0),
        think_left: think_left_after(think_left, think_end, told),
        think_end,
        pad: 0,
    }
}

/// What step 4 of [`crate::sampler`] leaves of a thought's budget after these ids.
fn think_left_after(think_left: u32, think_end: u32, told: &[u32]) -> u32 {
    told.iter().fold(think_left, |left, &id| match left {
        NO_THOUGHT => NO_THOUGHT,
        _ if id == think_end => NO_THOUGHT,
        _ => left.saturating_sub(1),
    })
}

/// Rows of features that fall into tokens `first .. end`, of media by their first pad.
fn media_rows<'a>(
    media: impl Iterator<Item = (usize, Option<&'a Encoded>)>,
    first: usize,
    end: usize,
) -> Result<Vec<MediaRows<'a>>> {
    let mut rows = Vec::new();
    for (at, encoded) in media {
        let Some(Held::OnEngine(features)) = encoded.map(|encoded| &encoded.held) else {
            return Err(Error::Prompt {
                message: "features are not on the engine".into(),
            });
        };
        let (start, stop) = (at.max(first), (at + features.n_tokens).min(end));
        if start < stop {
            rows.push(MediaRows {
                token: start - first,
                features,
                row: start - at,
                n: stop - start,
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_is_left_as_the_sampler_leaves_it() {
        assert_eq!(think_left_after(NO_THOUGHT, 9, &[1, 9]), NO_THOUGHT);
        assert_eq!(think_left_after(3, 9, &[]), 3);
        assert_eq!(think_left_after(3, 9, &[1, 2]), 1);
        assert_eq!(think_left_after(3, 9, &[1, 9, 2]), NO_THOUGHT);
        assert_eq!(think_left_after(2, 9, &[1, 2, 9, 9, 4]), NO_THOUGHT);
    }
}
