//! An engine that answers at once what a real one answered before: the first to ask for something waits for the real engine,
//! whoever asks for the same later gets the same, in other pieces and at other times. So hundreds of runs take seconds.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use gpu::protocol::{
    EncodeRequest, FeatureHandle, FinishReason, GenerateEvent, GenerateRequest, GenerateStats, GpuHandle, GpuRequest, Inbox,
};
use pipeline::spawn;
use pipeline::time::Clock;

use super::narrate::Dice;

/// What a real engine answered.
pub struct Memo {
    engine: GpuHandle,
    pictures: Mutex<BTreeMap<u64, FeatureHandle>>,
    answers: Mutex<BTreeMap<u64, Answer>>,
}

#[derive(Clone, Debug)]
struct Answer {
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    reason: FinishReason,
    stats: GenerateStats,
}

/// What goes wrong with an engine's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineFault {
    /// An error.
    Fails,
    /// No reply, or none any more, for ever.
    Silent,
    /// It breaks off, as that of an actor that ended.
    Gone,
}

/// By the number of the request, from 1.
pub type EngineFaults = BTreeMap<u64, EngineFault>;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memo {
    pub fn new(engine: GpuHandle) -> Arc<Self> {
        Arc::new(Self {
            engine,
            pictures: Mutex::default(),
            answers: Mutex::default(),
        })
    }

    /// An engine for one run: how long it takes and how it cuts its answers follows from `dice`.
    pub fn handle(self: &Arc<Self>, clock: &Clock, dice: Dice, faults: EngineFaults) -> GpuHandle {
        let (handle, inbox) = GpuHandle::to_inbox(16);
        let memo = self.clone();
        let _runs_by_itself = spawn::spawn_tracked(clock, memo.serve(inbox, clock.clone(), dice, faults));
        handle
    }

    async fn serve(self: Arc<Self>, inbox: Inbox, clock: Clock, mut dice: Dice, faults: EngineFaults) {
        let (mut n, mut silent) = (0, Vec::new());
        while let Some(request) = inbox.recv().await {
            n += 1;
            let (memo, clock, dice) = (self.clone(), clock.clone(), dice.split());
            let fault = faults.get(&n).copied();
            if fault == Some(EngineFault::Silent) && matches!(request, GpuRequest::Encode { .. }) {
                // Whoever waits for it waits for ever.
                silent.push(request);
                continue;
            }
            let tracked = clock.clone();
            let answer = async move {
                match request {
                    GpuRequest::Encode { request, reply } => memo.encode(request, reply, &clock, dice, fault).await,
                    GpuRequest::Generate { request, reply } => memo.generate(request, reply, &clock, dice, fault).await,
                    // Stages ask for nothing else.
                    _ => {}
                }
            };
            let _runs_by_itself = spawn::spawn_tracked(&tracked, answer);
        }
    }

    async fn encode(
        &self,
        request: EncodeRequest,
        reply: Sender<gpu::Result<FeatureHandle>>,
        clock: &Clock,
        mut dice: Dice,
        fault: Option<EngineFault>,
    ) {
        let key = digest(&(&request.frames, request.n_frames, request.height, request.width));
        let known = lock(&self.pictures).get(&key).cloned();
        let features = match (fault, known) {
            (Some(EngineFault::Gone), _) => return,
            (Some(_), _) => Err(out_of_memory()),
            (None, Some(known)) => Ok(known),
            (None, None) => {
                // Virtual time stands while the real engine works.
                let _busy = clock.busy();
                let encoded = self.engine.encode(request).await;
                encoded.inspect(|features| drop(lock(&self.pictures).insert(key, features.clone())))
            }
        };
        clock.sleep(Duration::from_millis(dice.below(60))).await;
        // Nobody has to wait for it any more.
        let _ = reply.send(features).await;
    }

    async fn generate(
        &self,
        request: GenerateRequest,
        reply: Sender<gpu::Result<GenerateEvent>>,
        clock: &Clock,
        mut dice: Dice,
        fault: Option<EngineFault>,
    ) {
        let answer = match self.answer(request, clock).await {
            Ok(answer) => answer,
            Err(error) => return drop(reply.send(Err(error)).await),
        };
        let n = answer.ids.len();
        let breaks_at = fault.map(|_| dice.below(n as u64 + 1) as usize);
        let mut told = 0;
        while told < n && breaks_at.is_none_or(|at| told < at) {
            clock.sleep(Duration::from_millis(dice.below(20))).await;
            let end = (told + 1 + dice.below(5) as usize).min(n);
            let tokens = GenerateEvent::Tokens {
                ids: answer.ids[told..end].to_vec(),
                logprobs: answer.logprobs[told..end].to_vec(),
            };
            if reply.send(Ok(tokens)).await.is_err() {
                return;
            }
            told = end;
        }
        match fault {
            None => {
                let (reason, stats) = (answer.reason, answer.stats);
                let _ = reply.send(Ok(GenerateEvent::Finished { reason, stats })).await;
            }
            Some(EngineFault::Fails) => drop(reply.send(Err(out_of_memory())).await),
            Some(EngineFault::Gone) => {}
            // Until the one who asked gives up.
            Some(EngineFault::Silent) => reply.closed().await,
        }
    }

    async fn answer(&self, request: GenerateRequest, clock: &Clock) -> gpu::Result<Answer> {
        let media: Vec<(usize, u64)> = request.media.iter().map(|(at, features)| (*at, features.id())).collect();
        let key = digest(&(&request.tokens, media, request.max_new_tokens));
        if let Some(known) = lock(&self.answers).get(&key) {
            return Ok(known.clone());
        }
        let _busy = clock.busy();
        let answer = whole(&self.engine.generate(request).await?).await?;
        lock(&self.answers).insert(key, answer.clone());
        Ok(answer)
    }
}

fn out_of_memory() -> gpu::Error {
    gpu::Error::OutOfMemory {
        what: "a test".into(),
        size_bytes: 1,
    }
}

async fn whole(events: &Receiver<gpu::Result<GenerateEvent>>) -> gpu::Result<Answer> {
    let (mut all_ids, mut all_logprobs) = (Vec::new(), Vec::new());
    while let Ok(event) = events.recv().await {
        match event? {
            GenerateEvent::Prefill { .. } => {}
            GenerateEvent::Tokens { ids, logprobs } => {
                all_ids.extend(ids);
                all_logprobs.extend(logprobs);
            }
            GenerateEvent::Finished { reason, stats } => {
                return Ok(Answer {
                    ids: all_ids,
                    logprobs: all_logprobs,
                    reason,
                    stats,
                });
            }
        }
    }
    Err(gpu::Error::ActorGone)
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
