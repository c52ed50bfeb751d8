//! The steps of an answer after its prompt.
//!
//! The id that a step samples is the next step's input on the engine; the CPU reads ids late, from a ring. A stop token
//! turns the steps queued behind it into no-ops there, so nothing has to be taken back here.

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::time::Timestamp;

use super::GpuActor;
use super::generate::{Generation, Phase};
use super::work::find;
use crate::engine::{Engine, ReadFuture};
use crate::error::{Error, Result};
use crate::kv_cache::TokenKey;
use crate::model::qwen3_vl::runner::{RING_LEN, Runner};
use crate::protocol::{FinishReason, GenerateEvent, SequenceId};

/// Work of one batch of steps; two batches are in flight.
const BATCH: Duration = Duration::from_millis(15);
const MAX_BATCH: u32 = 32;
const IN_FLIGHT: usize = 2;

/// Steps under way. Ids that arrived are the [`Generation`]'s.
pub(super) struct Decode {
    sequence: SequenceId,
    stop_ids: Vec<u32>,
    /// Ids of the answer that were fed with the prompt.
    fed_before: usize,
    /// Ids that were sampled, or will be by what is queued.
    submitted: u32,
    in_flight: VecDeque<Batch>,
    last_seen: Timestamp,
    /// The actor's `encoded_beside_answers` then.
    encoded_before: Duration,
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

impl Decode {
    /// After the choice of the first id was queued; `fed_before` ids of the answer were fed with the prompt.
    pub(super) fn new<E: Engine>(
        engine: &mut E,
        sequence: SequenceId,
        stop_ids: Vec<u32>,
        fed_before: usize,
        runner: &Runner,
    ) -> Self {
        let first = fed_before as u32;
        let ring = engine.read(runner.memory.ring, 0, RING_LEN as u64 * 8);
        Self {
            sequence,
            stop_ids,
            fed_before,
            submitted: first + 1,
            in_flight: VecDeque::from([Batch { first, n: 1, ring }]),
            last_seen: Timestamp::default(),
            encoded_before: Duration::ZERO,
            step: None,
            full: false,
        }
    }
}

impl<E: Engine> GpuActor<E> {
    /// Queues a batch if there is room for one in flight, else waits for the oldest and hands its ids on; `true` when the
    /// answer is over.
    pub(super) async fn decode(&mut self, generation: &mut Generation, mut decode: Decode, cancelled: bool) -> Result<bool> {
        let max_steps = generation.request.max_new_tokens;
        // The first id tells that the prompt is through; only then is it known how long a step takes.
        let begun = generation.ids.len() > decode.fed_before;
        let wants_more = begun && decode.submitted < max_steps && !decode.full && !cancelled;
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
            return self.finish_decode(generation, &decode, reason);
        };
        let ring = batch.ring.await?;
        let now = self.work.timing.now();
        if begun {
            let elsewhere = self.work.encoded_beside_answers - decode.encoded_before;
            decode.step = Some(now.since(decode.last_seen).saturating_sub(elsewhere) / batch.n);
        } else if generation.decoding.is_none() {
            let started = generation.started.unwrap_or(now);
            generation.stats.prefill_s = now.since(started).as_secs_f64();
            generation.decoding = Some(now);
            let fed = generation.stats.prompt_tokens - generation.stats.reused_tokens;
            self.work.timing.record("gpu.prefill", started, &[("n_tokens", fed as f64)]);
        }
        decode.last_seen = now;
        decode.encoded_before = self.work.encoded_beside_answers;
        let (mut ids, mut logprobs, mut over) = (Vec::new(), Vec::new(), None);
        for step in batch.first..batch.first + batch.n {
            let (id, logprob) = ring_entry(&ring, step)?;
            ids.push(id);
            logprobs.push(logprob);
            if decode.stop_ids.contains(&id) {
                over = Some(FinishReason::Stop);
            } else if step + 1 >= max_steps {
                over = Some(FinishReason::Length);
            }
            if over.is_some() {
                break;
            }
        }
        generation.ids.extend(&ids);
        generation.tell(GenerateEvent::Tokens { ids, logprobs });
        self.work.fruitless = 0;
        if cancelled {
            over = Some(FinishReason::Cancelled);
        }
        match over {
            Some(reason) => self.finish_decode(generation, &decode, reason),
            None => {
                generation.phase = Phase::Decode(decode);
                Ok(false)
            }
        }
    }

    fn queue_steps(&mut self, generation: &Generation, decode: &mut Decode) -> Result<()> {
        let request = &generation.request;
        let loaded = find(&mut self.work.models, request.model)?;
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
        loaded.runner.steps(&mut self.engine, n)?;
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
    fn finish_decode(&mut self, generation: &mut Generation, decode: &Decode, reason: FinishReason) -> Result<bool> {
        let loaded = find(&mut self.work.models, generation.request.model)?;
        // The last id was sampled, not fed.
        let fed = generation.ids.len().saturating_sub(1).max(decode.fed_before);
        let fed_since = &generation.ids[decode.fed_before..fed];
        let keys: Vec<_> = fed_since.iter().map(|&id| TokenKey { id, features: 0 }).collect();
        loaded.cache.push(decode.sequence, &keys)?;
        self.finish(generation, reason);
        Ok(true)
    }

    pub(super) fn finish(&mut self, generation: &mut Generation, reason: FinishReason) {
        let timing = &self.work.timing;
        let since = generation.decoding.unwrap_or_else(|| timing.now());
        let n = generation.ids.len();
        generation.stats.new_tokens = n;
        generation.stats.decode_s = timing.now().since(since).as_secs_f64();
        timing.record("gpu.decode", since, &[("n_tokens", n as f64)]);
        let stats = generation.stats;
        generation.tell(GenerateEvent::Finished { reason, stats });
    }
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
