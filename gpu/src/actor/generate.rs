//! One answer at a time: prompt in chunks, then decode steps in batches of a few milliseconds, two in flight.
//!
//! The id that a step samples is the next step's input on the engine; the CPU reads ids late, from a ring. A stop token
//! turns the steps queued behind it into no-ops there, so nothing has to be taken back here.

use std::collections::VecDeque;
use std::time::Duration;

use async_channel::{Sender, TrySendError};
use pipeline::time::Timestamp;

use super::{GpuActor, Loaded, fence};
use crate::engine::{Engine, NO_THOUGHT, ReadFuture, State};
use crate::error::{Error, Result};
use crate::kv_cache::TokenKey;
use crate::model::qwen3_vl::mrope::{Positions, positions};
use crate::model::qwen3_vl::runner::{Feed, MediaRows, RING_LEN, buckets};
use crate::protocol::{FinishReason, GenerateEvent, GenerateRequest, GenerateStats, SequenceId};
use crate::sampler::{MAX_STOP, SamplingWords};

/// Work of one batch of steps; two batches are in flight.
const BATCH: Duration = Duration::from_millis(15);
const MAX_BATCH: u32 = 32;
const IN_FLIGHT: usize = 2;

/// An answer that waits, is under way, or waits for its receiver.
pub(super) struct Generation {
    request: GenerateRequest,
    reply: Sender<Result<GenerateEvent>>,
    /// What the receiver has not taken yet; tokens are merged, so this stays short.
    backlog: VecDeque<Result<GenerateEvent>>,
    phase: Phase,
    stats: GenerateStats,
    started: Timestamp,
}

enum Phase {
    Waiting,
    Prefill(Prefill),
    Decode(Decode),
}

struct Prefill {
    sequence: SequenceId,
    keys: Vec<TokenKey>,
    positions: Positions,
    /// `(first token, bucket, tokens)` still to be fed.
    stretches: VecDeque<(usize, usize, usize)>,
    behind: Option<ReadFuture>,
}

struct Decode {
    sequence: SequenceId,
    since: Timestamp,
    stop_ids: Vec<u32>,
    submitted: u32,
    in_flight: VecDeque<Batch>,
    ids: Vec<u32>,
    last_seen: Timestamp,
    /// Measured: how long a step takes.
    step: Option<Duration>,
    /// The cache is full: no further step may be queued.
    full: bool,
}

struct Batch {
    first: u32,
    n: u32,
    ring: ReadFuture,
}

impl Generation {
    pub(super) fn new(request: GenerateRequest, reply: Sender<Result<GenerateEvent>>) -> Self {
        let (backlog, phase) = (VecDeque::new(), Phase::Waiting);
        Self {
            request,
            reply,
            backlog,
            phase,
            stats: GenerateStats::default(),
            started: Timestamp::default(),
        }
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

    fn tell(&mut self, event: GenerateEvent) {
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
}

impl<E: Engine> GpuActor<E> {
    /// Moves the answer that is due on by a chunk or a batch.
    pub(super) async fn generate_round(&mut self) {
        let Some(mut generation) = self.generations.pop_front() else {
            return;
        };
        generation.flush();
        let result = self.advance(&mut generation).await;
        match result {
            Ok(false) => self.generations.push_front(generation),
            Ok(true) => self.close(generation),
            Err(error) => {
                generation.backlog.push_back(Err(error));
                self.close(generation);
            }
        }
    }

    fn close(&mut self, mut generation: Generation) {
        if !generation.flush() {
            self.closing.push_back(generation);
        }
    }

    /// One step of the answer's phases; `true` when it is over.
    async fn advance(&mut self, generation: &mut Generation) -> Result<bool> {
        let cancelled = generation.reply.is_closed();
        match std::mem::replace(&mut generation.phase, Phase::Waiting) {
            Phase::Waiting if cancelled => Ok(true),
            Phase::Waiting => {
                generation.started = self.timing.now();
                let prefill = self.begin(generation)?;
                generation.phase = Phase::Prefill(prefill);
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

    /// Checks the request, finds its sequence and how much of the prompt is there already.
    fn begin(&mut self, generation: &mut Generation) -> Result<Prefill> {
        let request = &generation.request;
        let loaded = self
            .models
            .get_mut(&request.model)
            .ok_or(Error::UnknownModel { model: request.model.0 })?;
        let config = &loaded.runner.model.config;
        let n = request.tokens.len();
        if n == 0 || request.max_new_tokens == 0 {
            return Err(Error::Prompt {
                message: "it is empty, or no new token is allowed".into(),
            });
        }
        if let Some(id) = request.tokens.iter().find(|&&id| id as usize >= config.text.vocab_size) {
            return Err(Error::Prompt {
                message: format!("token {id} is not in the vocabulary of {}", config.text.vocab_size),
            });
        }
        let grids: Vec<_> = request.media.iter().map(|(at, features)| (*at, features.grid_thw)).collect();
        let positions = positions(n, &grids, config.vision.spatial_merge_size)?;
        let mut keys: Vec<_> = request.tokens.iter().map(|&id| TokenKey { id, features: 0 }).collect();
        for (at, features) in &request.media {
            if features.model != request.model {
                return Err(Error::Prompt {
                    message: "features of another model".into(),
                });
            }
            keys[*at..*at + features.tensors.n_tokens]
                .iter_mut()
                .for_each(|key| key.features = features.tensors.id);
        }

        let sequence = request.sequence.unwrap_or_else(|| loaded.cache.own(&keys));
        let reused = loaded.cache.shared_prefix(sequence, &keys)?.min(n - 1);
        loaded.cache.truncate(sequence, reused)?;
        let copies = loaded.cache.reserve(sequence, n)?;
        loaded
            .runner
            .set_blocks(&mut self.engine, loaded.cache.blocks(sequence)?, &copies)?;
        loaded
            .runner
            .set_sampling(&mut self.engine, &sampling_words(request, &stop_ids(request, loaded)))?;

        let mut at = reused;
        let stretches = buckets(n - reused)
            .into_iter()
            .map(|(bucket, tokens)| {
                at += tokens;
                (at - tokens, bucket, tokens)
            })
            .collect();
        generation.stats = GenerateStats {
            prompt_tokens: n,
            reused_tokens: reused,
            ..GenerateStats::default()
        };
        Ok(Prefill {
            sequence,
            keys,
            positions,
            stretches,
            behind: None,
        })
    }

    /// Queues the next stretch of the prompt, and after the last one the first token.
    async fn feed(&mut self, generation: &mut Generation, mut prefill: Prefill) -> Result<Phase> {
        let request = &generation.request;
        let loaded = self
            .models
            .get_mut(&request.model)
            .ok_or(Error::UnknownModel { model: request.model.0 })?;
        let Some((first, bucket, n)) = prefill.stretches.pop_front() else {
            return Err(Error::Prompt {
                message: "nothing to feed".into(),
            });
        };
        let end = first + n;
        let feed = Feed {
            bucket,
            ids: &request.tokens[first..end],
            pos: [0, 1, 2].map(|axis| &prefill.positions.axes[axis][first..end]),
            media: media_rows(request, first, end),
            state: state(request, first, n, prefill.positions.next),
        };
        loaded.runner.feed(&mut self.engine, &feed)?;
        loaded.cache.push(prefill.sequence, &prefill.keys[first..end])?;
        if let Some(behind) = prefill.behind.take() {
            behind.await?;
        }
        let (reused, total) = (generation.stats.reused_tokens, prefill.keys.len());
        if !prefill.stretches.is_empty() {
            prefill.behind = Some(fence(&mut self.engine, loaded));
            generation.tell(GenerateEvent::Prefill {
                done: end,
                reused,
                total,
            });
            return Ok(Phase::Prefill(prefill));
        }
        loaded.runner.first_token(&mut self.engine)?;
        let stop_ids = stop_ids(request, loaded);
        let ring = self.engine.read(loaded.runner.memory.ring, 0, RING_LEN as u64 * 8);
        generation.tell(GenerateEvent::Prefill {
            done: end,
            reused,
            total,
        });
        Ok(Phase::Decode(Decode {
            sequence: prefill.sequence,
            since: generation.started,
            stop_ids,
            submitted: 1,
            in_flight: VecDeque::from([Batch { first: 0, n: 1, ring }]),
            ids: Vec::new(),
            last_seen: generation.started,
            step: None,
            full: false,
        }))
    }

    /// Queues a batch if there is room for one in flight, else waits for the oldest and hands its ids on.
    async fn decode(&mut self, generation: &mut Generation, mut decode: Decode, cancelled: bool) -> Result<bool> {
        let max_steps = generation.request.max_new_tokens;
        // The first token tells that the prompt is through; only then is it known how long a step takes.
        let wants_more = !decode.ids.is_empty() && decode.submitted < max_steps && !decode.full && !cancelled;
        if wants_more && decode.in_flight.len() < IN_FLIGHT {
            self.queue_steps(generation, &mut decode)?;
            generation.phase = Phase::Decode(decode);
            return Ok(false);
        }
        let Some(batch) = decode.in_flight.pop_front() else {
            let reason = if cancelled {
                FinishReason::Cancelled
            } else {
                FinishReason::Length
            };
            return self.finish(generation, &decode, reason);
        };
        let ring = batch.ring.await?;
        let now = self.timing.now();
        if batch.first == 0 {
            generation.stats.prefill_s = (now.0 - generation.started.0).as_secs_f64();
            decode.since = now;
            let fed = generation.stats.prompt_tokens - generation.stats.reused_tokens;
            self.timing
                .record("gpu.prefill", generation.started, &[("n_tokens", fed as f64)]);
        } else {
            decode.step = Some((now.0 - decode.last_seen.0) / batch.n);
        }
        decode.last_seen = now;
        let (mut ids, mut logprobs, mut over) = (Vec::new(), Vec::new(), None);
        for step in batch.first..batch.first + batch.n {
            let (id, logprob) = ring_entry(&ring, step)?;
            ids.push(id);
            logprobs.push(logprob);
            decode.ids.push(id);
            if decode.stop_ids.contains(&id) {
                over = Some(FinishReason::Stop);
            } else if step + 1 >= max_steps {
                over = Some(FinishReason::Length);
            }
            if over.is_some() {
                break;
            }
        }
        generation.tell(GenerateEvent::Tokens { ids, logprobs });
        if cancelled {
            over = Some(FinishReason::Cancelled);
        }
        match over {
            Some(reason) => self.finish(generation, &decode, reason),
            None => {
                generation.phase = Phase::Decode(decode);
                Ok(false)
            }
        }
    }

    fn queue_steps(&mut self, generation: &Generation, decode: &mut Decode) -> Result<()> {
        let request = &generation.request;
        let loaded = self
            .models
            .get_mut(&request.model)
            .ok_or(Error::UnknownModel { model: request.model.0 })?;
        let fits = match decode.step {
            Some(step) => (BATCH.as_nanos() / step.as_nanos().max(1)).clamp(1, MAX_BATCH.into()) as u32,
            None => 1,
        };
        let mut n = fits.min(request.max_new_tokens - decode.submitted);
        // Step i feeds the token that step i − 1 sampled, so the cache grows by as many as were submitted before.
        let fed = generation.stats.prompt_tokens + decode.submitted as usize - 1;
        let held = loaded.cache.blocks(decode.sequence)?.len();
        let copies = match loaded.cache.reserve(decode.sequence, fed + n as usize) {
            Err(Error::ContextFull { available, .. }) => {
                n = available.saturating_sub(fed) as u32;
                loaded.cache.reserve(decode.sequence, fed + n as usize)?
            }
            reserved => reserved?,
        };
        decode.full = n == 0;
        let blocks = loaded.cache.blocks(decode.sequence)?;
        if blocks.len() != held || !copies.is_empty() {
            loaded.runner.set_blocks(&mut self.engine, blocks, &copies)?;
        }
        if n == 0 {
            return Ok(());
        }
        for _ in 0..n {
            loaded.runner.step(&mut self.engine)?;
        }
        let ring = self.engine.read(loaded.runner.memory.ring, 0, RING_LEN as u64 * 8);
        decode.in_flight.push_back(Batch {
            first: decode.submitted,
            n,
            ring,
        });
        decode.submitted += n;
        Ok(())
    }

    /// Notes what the cache holds now and says that the answer is over.
    fn finish(&mut self, generation: &mut Generation, decode: &Decode, reason: FinishReason) -> Result<bool> {
        let loaded = self.loaded(generation.request.model)?;
        // The last id was sampled, not fed.
        let fed = decode.ids.len().saturating_sub(1);
        let keys: Vec<_> = decode.ids[..fed].iter().map(|&id| TokenKey { id, features: 0 }).collect();
        loaded.cache.push(decode.sequence, &keys)?;
        generation.stats.new_tokens = decode.ids.len();
        generation.stats.decode_s = (self.timing.now().0 - decode.since.0).as_secs_f64();
        self.timing
            .record("gpu.decode", decode.since, &[("n_tokens", decode.ids.len() as f64)]);
        let stats = generation.stats;
        generation.tell(GenerateEvent::Finished { reason, stats });
        Ok(true)
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

/// The state before tokens `first .. first + n` of the prompt are fed.
fn state(request: &GenerateRequest, first: usize, n: usize, next_position: u32) -> State {
    let (think_left, think_end) = request
        .thinking
        .map_or((NO_THOUGHT, 0), |budget| (budget.max_tokens, budget.end_id));
    State {
        kv_len: first as u32,
        n_tokens: n as u32,
        position: next_position,
        done: 0,
        step: 0,
        max_steps: request.max_new_tokens,
        seed: [request.sampling.seed as u32, (request.sampling.seed >> 32) as u32],
        last_id: 0,
        think_left,
        think_end,
        pad: 0,
    }
}

/// Rows of features that fall into tokens `first .. end`.
fn media_rows(request: &GenerateRequest, first: usize, end: usize) -> Vec<MediaRows<'_>> {
    let rows = |(at, features): &'_ (usize, crate::protocol::FeatureHandle)| {
        let (start, stop) = ((*at).max(first), (*at + features.tensors.n_tokens).min(end));
        (start < stop).then_some((start, stop))
    };
    request
        .media
        .iter()
        .filter_map(|media| rows(media).map(|range| (media, range)))
        .map(|((at, features), (start, stop))| MediaRows {
            token: start - first,
            features: &features.tensors,
            row: start - at,
            n: stop - start,
        })
        .collect()
}

fn ring_entry(ring: &[u8], step: u32) -> Result<(u32, f32)> {
    let at = step as usize % RING_LEN * 8;
    let bytes = ring.get(at..at + 8).and_then(|bytes| bytes.first_chunk::<8>());
    let Some([a, b, c, d, e, f, g, h]) = bytes.copied() else {
        return Err(Error::Engine {
            what: "read",
            message: "the ring is too short".into(),
        });
    };
    Ok((u32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h])))
}
