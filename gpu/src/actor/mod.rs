//! The GPU actor: owns one engine and its models on one thread, and turns requests into plays.
//!
//! It works in rounds: a slice of an encoding, then a chunk of prompt or a batch of decode steps, so that the next frame
//! is encoded while this one is still being narrated, and a cancel is seen between steps.

mod encode;
mod generate;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;

use async_channel::{Receiver, Sender, bounded};
use futures::FutureExt;
use futures::future::{Either, select};
use pipeline::spawn::{self, MaybeSend};
use pipeline::time::{Clock, Timestamp};
use pipeline::trace::TraceHandle;

use self::encode::Encoding;
use self::generate::Generation;
use crate::engine::{Engine, ReadFuture};
use crate::error::{Error, Result};
use crate::kv_cache::KvCache;
use crate::model::qwen3_vl::features::ReleaseQueue;
use crate::model::qwen3_vl::runner::{BLOCK, Runner};
use crate::model::qwen3_vl::{Qwen3Vl, load};
use crate::protocol::{EngineStats, GpuHandle, GpuRequest, LoadOptions, LoadProgress, ModelId, ModelInfo, SequenceId};
use crate::weights::source::Source;

/// Requests that wait before a sender does.
const MAX_WAITING: usize = 16;

/// A model and the bookkeeping of its cache.
pub(crate) struct Loaded {
    pub(crate) runner: Runner,
    pub(crate) cache: KvCache,
    pub(crate) info: ModelInfo,
}

struct GpuActor<E: Engine> {
    engine: E,
    models: BTreeMap<ModelId, Loaded>,
    encodings: VecDeque<Encoding>,
    generations: VecDeque<Generation>,
    /// Answers that are complete, whose receiver is behind.
    closing: VecDeque<Generation>,
    released: ReleaseQueue,
    timing: Timing,
}

/// The run's clock, and the track that the actor draws on.
#[derive(Clone)]
pub struct Timing {
    pub clock: Clock,
    pub trace: TraceHandle,
}

impl Timing {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A slice from `start` until now.
    fn record(&self, name: &'static str, start: Timestamp, numbers: &[(&'static str, f64)]) {
        self.trace.slice(name, start, self.clock.now(), numbers);
    }
}

/// Starts an actor on a thread of its own (in the tab: beside the caller) with the engine that `make` gives.
/// It ends when the last clone of the handle is dropped and its work is done.
///
/// Errors: those of `make`: `NoAdapter`, `AdapterTooSmall` …
pub async fn start<E, F, Fut>(name: &str, timing: Timing, make: F) -> Result<GpuHandle>
where
    E: Engine,
    F: FnOnce() -> Fut + MaybeSend + Send + 'static,
    Fut: Future<Output = Result<E>> + 'static,
{
    let (requests, inbox) = bounded(MAX_WAITING);
    let (ready, started) = bounded(1);
    let (running, ended) = bounded(1);
    let _runs_on = spawn::local_thread(name, move || async move {
        let _running = running;
        match make().await {
            Ok(engine) => {
                let _ = ready.try_send(Ok(()));
                drop(ready);
                GpuActor::new(engine, timing).run(inbox).await;
            }
            Err(error) => {
                let _ = ready.try_send(Err(error));
            }
        }
    });
    started.recv().await.map_err(|_| Error::ActorGone)??;
    Ok(GpuHandle { requests, ended })
}

impl<E: Engine> GpuActor<E> {
    fn new(engine: E, timing: Timing) -> Self {
        Self {
            engine,
            models: BTreeMap::new(),
            encodings: VecDeque::new(),
            generations: VecDeque::new(),
            closing: VecDeque::new(),
            released: ReleaseQueue::default(),
            timing,
        }
    }

    async fn run(mut self, inbox: Receiver<GpuRequest>) {
        let mut open = true;
        while open || self.has_work() || !self.closing.is_empty() {
            if !self.has_work()
                && let Some(request) = self.wait(&inbox).await
            {
                self.accept(request).await;
            }
            while let Ok(request) = inbox.try_recv() {
                self.accept(request).await;
            }
            self.collect_released();
            self.encode_round().await;
            self.generate_round().await;
            self.closing.retain_mut(|answer| !answer.flush());
            open = open && !(inbox.is_closed() && inbox.is_empty());
        }
    }

    fn has_work(&self) -> bool {
        !self.encodings.is_empty() || !self.generations.is_empty()
    }

    /// The next request, or `None` when a late receiver took something or no request will come.
    async fn wait(&mut self, inbox: &Receiver<GpuRequest>) -> Option<GpuRequest> {
        let Some(late) = self.closing.front_mut() else {
            return inbox.recv().await.ok();
        };
        let request = inbox.recv();
        let taken = late.wait_for_room();
        match select(request.boxed_local(), taken.boxed_local()).await {
            Either::Left((Ok(request), _)) => Some(request),
            Either::Left((Err(_), taken)) => {
                taken.await;
                None
            }
            Either::Right(_) => None,
        }
    }

    async fn accept(&mut self, request: GpuRequest) {
        // A reply that nobody waits for any more is no error.
        match request {
            GpuRequest::Load {
                source,
                options,
                progress,
                reply,
            } => {
                let _ = reply.try_send(self.load(source, options, progress).await);
            }
            GpuRequest::Encode { request, reply } => self.encodings.push_back(Encoding::new(request, reply)),
            GpuRequest::Generate { request, reply } => self.generations.push_back(Generation::new(request, reply)),
            GpuRequest::Open { model, reply } => {
                let _ = reply.try_send(self.loaded(model).map(|loaded| loaded.cache.open()));
            }
            GpuRequest::Fork { sequence, reply } => {
                let _ = reply.try_send(self.owner(sequence).and_then(|loaded| loaded.cache.fork(sequence)));
            }
            GpuRequest::Truncate {
                sequence,
                n_tokens,
                reply,
            } => {
                let _ = reply.try_send(
                    self.owner(sequence)
                        .and_then(|loaded| loaded.cache.truncate(sequence, n_tokens)),
                );
            }
            GpuRequest::Close { sequence } => {
                if let Ok(loaded) = self.owner(sequence) {
                    loaded.cache.close(sequence);
                }
            }
            GpuRequest::Stats { reply } => {
                let _ = reply.try_send(Ok(self.stats()));
            }
        }
    }

    async fn load(
        &mut self,
        source: Arc<dyn Source>,
        options: LoadOptions,
        progress: Option<Sender<LoadProgress>>,
    ) -> Result<ModelInfo> {
        let started = self.timing.now();
        let model: Qwen3Vl = load::load(&mut self.engine, source, &options, progress.as_ref()).await?;
        let runner = Runner::new(&mut self.engine, model, &options, self.released.clone(), false)?;
        let id = ModelId(self.models.len() as u64 + 1);
        let info = runner.info(id);
        let sequences = KvCache::new(runner.memory.n_blocks, BLOCK, id.0 << 32);
        self.models.insert(
            id,
            Loaded {
                runner,
                cache: sequences,
                info: info.clone(),
            },
        );
        self.timing
            .record("gpu.load", started, &[("size_bytes", info.weight_bytes as f64)]);
        tracing::info!(model = info.name, size_bytes = info.weight_bytes, "model loaded");
        Ok(info)
    }

    fn loaded(&mut self, model: ModelId) -> Result<&mut Loaded> {
        self.models.get_mut(&model).ok_or(Error::UnknownModel { model: model.0 })
    }

    /// The model whose cache holds a sequence: its id stands in the upper half of the sequence's.
    fn owner(&mut self, sequence: SequenceId) -> Result<&mut Loaded> {
        self.loaded(ModelId(sequence.0 >> 32))
    }

    fn collect_released(&mut self) {
        for tensor in self.released.drain() {
            self.engine.release(tensor);
        }
    }

    fn stats(&self) -> EngineStats {
        let sum = |of: fn(&KvCache) -> usize| self.models.values().map(|loaded| of(&loaded.cache)).sum();
        EngineStats {
            adapter: self.engine.adapter().clone(),
            memory_bytes: self.engine.memory_bytes(),
            sequences: sum(KvCache::n_sequences),
            cache_tokens_used: sum(KvCache::used_tokens),
            cache_tokens_total: sum(KvCache::total_tokens),
        }
    }
}

/// A read that completes when all that is queued so far has run.
fn fence<E: Engine>(engine: &mut E, loaded: &Loaded) -> ReadFuture {
    engine.read(loaded.runner.memory.state, 0, 4)
}
