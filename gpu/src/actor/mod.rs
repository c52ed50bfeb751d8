//! The GPU actor: owns one engine and its models on one thread, and turns requests into plays.
//!
//! It works in rounds: a slice of an encoding, then a chunk of prompt or a batch of decode steps, then a piece of what is
//! heard, so that the next frame is encoded while this one is still being narrated, and a cancel is seen between steps. A
//! lost device ends the rounds; `recover` makes another engine, and they go on.

mod decode;
mod encode;
mod generate;
mod load;
mod record;
mod recover;
mod replay;
mod speech;
mod tape;
mod work;

pub use record::record;
pub use replay::replay;

use std::future::Future;

use async_channel::{Receiver, bounded};
use futures::FutureExt;
use futures::future::{Either, select};
use pipeline::spawn;
use pipeline::time::{Clock, Timestamp};
use pipeline::trace::TraceHandle;

use self::encode::Encoding;
use self::generate::Generation;
use self::load::Loading;
use self::work::{Loaded, Shares, Work};
use crate::engine::{Engine, ReadFuture};
use crate::error::{Error, Result};
use crate::kv_cache::KvCache;
use crate::protocol::{EngineStats, GpuHandle, GpuRequest};

/// Requests that wait before a sender does.
const MAX_WAITING: usize = 16;

struct GpuActor<E: Engine> {
    engine: E,
    work: Work,
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
/// When the device is lost, `make` is asked for another engine. Models are loaded onto it again from their sources,
/// pictures are encoded again when an answer needs them, and the answer under way goes on after its last word; callers
/// notice nothing but the time it takes. After a few tries in a row that got nothing done, everybody is told
/// [`Error::DeviceLost`].
///
/// Errors: those of `make`: `NoAdapter`, `AdapterTooSmall` …
pub async fn start<E, F, Fut>(name: &str, timing: Timing, make: F) -> Result<GpuHandle>
where
    E: Engine,
    F: Fn() -> Fut + Send + 'static,
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
                let clock = timing.clock.clone();
                clock.track(serve(engine, timing, &make, &inbox)).await;
            }
            Err(error) => {
                let _ = ready.try_send(Err(error));
            }
        }
    });
    started.recv().await.map_err(|_| Error::ActorGone)??;
    Ok(GpuHandle { requests, ended })
}

/// Answers requests until no more can come, on as many engines as it takes.
async fn serve<E, F, Fut>(engine: E, timing: Timing, make: &F, inbox: &Receiver<GpuRequest>)
where
    E: Engine,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<E>>,
{
    let work = Work::new(timing);
    let mut actor = GpuActor { engine, work };
    while let Err(lost) = actor.run(inbox).await {
        match recover::rebuild(actor, make, lost).await {
            Ok(rebuilt) => actor = rebuilt,
            Err(gone) => return gone.refuse(inbox).await,
        }
    }
}

impl<E: Engine> GpuActor<E> {
    /// Works until no request can come any more.
    ///
    /// Errors: [`Error::DeviceLost`] alone; other errors go to those whose work it was. What was under way is kept.
    async fn run(&mut self, inbox: &Receiver<GpuRequest>) -> Result<()> {
        let mut open = true;
        while open || self.work.is_due() || !self.work.closing.is_empty() {
            if !self.work.is_due()
                && let Some(request) = wait(&mut self.work, inbox).await
            {
                self.accept(request);
            }
            while let Ok(request) = inbox.try_recv() {
                self.accept(request);
            }
            // Virtual time stands while the engine works, unless the engine's work is what it is charged for.
            let busy = (!self.engine.charges_time()).then(|| self.work.timing.clock.busy());
            self.load_round().await?;
            self.shared_round().await?;
            // Under what was queued, not before it.
            self.free_dropped();
            self.speech_round().await?;
            drop(busy);
            self.work.closing.retain_mut(|answer| !answer.flush());
            open = open && !(inbox.is_closed() && inbox.is_empty());
        }
        Ok(())
    }

    /// A slice of an encoding and a piece of an answer; where both are under way, only what has had less of the engine's
    /// time: a slow adapter's long slices must not keep words waiting.
    async fn shared_round(&mut self) -> Result<()> {
        let answering = self.work.generations.front().is_some_and(Generation::is_under_way);
        if self.work.encodings.is_empty() || !answering {
            self.work.shares = Shares::default();
            self.encode_round().await?;
            return self.generate_round().await;
        }
        let started = self.work.timing.now();
        if self.work.shares.encode <= self.work.shares.generate {
            let encoded = self.encode_round().await;
            let spent = self.work.timing.now().since(started);
            self.work.shares.encode += spent;
            self.work.encoded_beside_answers += spent;
            encoded
        } else {
            let generated = self.generate_round().await;
            self.work.shares.generate += self.work.timing.now().since(started);
            generated
        }
    }

    fn accept(&mut self, request: GpuRequest) {
        // A reply that nobody waits for any more is no error.
        let work = &mut self.work;
        match request {
            GpuRequest::Load {
                source,
                options,
                progress,
                reply,
            } => work.loads.push_back(Loading {
                source,
                options,
                progress,
                reply,
            }),
            GpuRequest::Encode { request, reply } => work.encodings.push_back(Encoding::new(request, reply)),
            GpuRequest::Generate { request, reply } => work.generations.push_back(Generation::new(request, reply)),
            GpuRequest::Open { model, reply } => {
                let _ = reply.try_send(work.loaded(model).map(|loaded| loaded.cache.open()));
            }
            GpuRequest::Fork { sequence, reply } => {
                let _ = reply.try_send(work.owner(sequence).and_then(|loaded| loaded.cache.fork(sequence)));
            }
            GpuRequest::Truncate {
                sequence,
                n_tokens,
                reply,
            } => {
                let _ = reply.try_send(
                    work.owner(sequence)
                        .and_then(|loaded| loaded.cache.truncate(sequence, n_tokens)),
                );
            }
            GpuRequest::Close { sequence } => {
                if let Ok(loaded) = work.owner(sequence) {
                    loaded.cache.close(sequence);
                }
            }
            GpuRequest::Speech(request) => work.speech.accept(request),
            GpuRequest::Stats { reply } => {
                self.free_dropped();
                let _ = reply.try_send(Ok(self.stats()));
            }
        }
    }

    /// Frees features whose handles are gone.
    fn free_dropped(&mut self) {
        for tensors in self.work.take_dropped() {
            tensors.free(&mut self.engine);
        }
    }

    fn stats(&self) -> EngineStats {
        let sum = |of: fn(&KvCache) -> usize| self.work.models.values().map(|loaded| of(&loaded.cache)).sum();
        EngineStats {
            adapter: self.engine.adapter().clone(),
            memory_bytes: self.engine.memory_bytes(),
            sequences: sum(KvCache::n_sequences),
            cache_tokens_used: sum(KvCache::used_tokens),
            cache_tokens_total: sum(KvCache::total_tokens),
        }
    }
}

/// The next request, or `None` when a late receiver took something or no request will come.
async fn wait(work: &mut Work, inbox: &Receiver<GpuRequest>) -> Option<GpuRequest> {
    let Some(late) = work.closing.front_mut() else {
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

/// A read that completes when all that is queued so far has run.
fn fence<E: Engine>(engine: &mut E, loaded: &Loaded) -> ReadFuture {
    engine.read(loaded.runner.memory.state, 0, 4)
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::DeviceLost { .. })
}
