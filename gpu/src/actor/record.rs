//! Writes down what an engine is asked and what it replies. It stands between the handle and the actor and changes nothing:
//! cancelling, waiting and errors pass through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_channel::{Receiver, Sender, bounded};
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use pipeline::record::Recorder;
use pipeline::spawn::{self, BoxFuture};
use pipeline::time::{Clock, Timestamp};

use super::MAX_WAITING;
use super::tape::{ASKED, Asked, REPLIED, Reply, asked_to_bytes, reply_to_bytes};
use crate::error::Result;
use crate::protocol::speech::SpeechRequest;
use crate::protocol::{EncodeRequest, FeatureHandle, GenerateEvent, GenerateRequest, GpuHandle, GpuRequest};

/// Events of one answer that wait between the engine and its caller.
const MAX_EVENTS: usize = 64;

/// A handle to the engine behind `handle`, called `name` in the configuration, that writes to `recorder`.
///
/// # Panics
/// Natively outside a tokio runtime.
pub fn record(handle: GpuHandle, name: &str, clock: Clock, recorder: Recorder) -> GpuHandle {
    let (requests, inbox) = bounded(MAX_WAITING);
    let ended = handle.ended.clone();
    let log = Arc::new(Log {
        engine: name.to_owned(),
        clock: clock.clone(),
        recorder,
        pictures: Mutex::default(),
    });
    let _runs_by_itself = spawn::spawn_tracked(&clock, relay(inbox, handle, log));
    GpuHandle { requests, ended }
}

struct Log {
    engine: String,
    clock: Clock,
    recorder: Recorder,
    /// What features were made of, by their key.
    pictures: Mutex<BTreeMap<u64, u64>>,
}

/// A request that was written down.
struct Written {
    log: Arc<Log>,
    number: u64,
    at: Timestamp,
}

impl Log {
    fn asked(self: &Arc<Self>, number: u64, asked: &Asked) -> Written {
        let at = self.clock.now();
        self.recorder.write(ASKED, &asked_to_bytes(&self.engine, number, at, asked));
        Written {
            log: self.clone(),
            number,
            at,
        }
    }

    fn picture(&self, key: u64) -> u64 {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.get(&key).copied().unwrap_or_default()
    }

    fn keep_picture(&self, key: u64, digest: u64) {
        self.pictures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, digest);
    }
}

impl Written {
    fn replied(&self, reply: &Reply) {
        let log = &self.log;
        let after = log.clock.now().since(self.at);
        log.recorder
            .write(REPLIED, &reply_to_bytes(&log.engine, self.number, after, reply));
    }
}

/// Passes requests on until no more can come and all are answered.
async fn relay(inbox: Receiver<GpuRequest>, engine: GpuHandle, log: Arc<Log>) {
    let mut under_way = FuturesUnordered::new();
    let mut number = 0;
    loop {
        let next = std::pin::pin!(inbox.recv());
        let request = match under_way.is_empty() {
            true => next.await,
            false => match select(next, under_way.next()).await {
                Either::Left((request, _)) => request,
                Either::Right(_) => continue,
            },
        };
        let Ok(request) = request else { break };
        let (request, answer) = passed(request, number, &log);
        number += 1;
        if engine.requests.send(request).await.is_err() {
            // The engine has ended; that its reply is dropped says so.
            continue;
        }
        under_way.extend(answer);
    }
    while under_way.next().await.is_some() {}
}

type Answer = BoxFuture<'static, ()>;

/// The request as it goes on to the engine, and what takes its replies to the caller.
fn passed(request: GpuRequest, number: u64, log: &Arc<Log>) -> (GpuRequest, Option<Answer>) {
    match request {
        GpuRequest::Load {
            source,
            options,
            progress,
            reply,
        } => {
            let written = log.asked(number, &Asked::load(&options));
            let (reply, answer) = once(written, reply, |info| Reply::Loaded(info.clone()));
            let request = GpuRequest::Load {
                source,
                options,
                progress,
                reply,
            };
            (request, Some(answer))
        }
        GpuRequest::Encode { request, reply } => encode(request, reply, number, log),
        GpuRequest::Generate { request, reply } => generate(request, reply, number, log),
        GpuRequest::Open { model, reply } => {
            let written = log.asked(number, &Asked::open(model));
            let (reply, answer) = once(written, reply, |sequence| Reply::Sequence(*sequence));
            (GpuRequest::Open { model, reply }, Some(answer))
        }
        GpuRequest::Fork { sequence, reply } => {
            let written = log.asked(number, &Asked::fork(sequence));
            let (reply, answer) = once(written, reply, |sequence| Reply::Sequence(*sequence));
            (GpuRequest::Fork { sequence, reply }, Some(answer))
        }
        GpuRequest::Truncate {
            sequence,
            n_tokens,
            reply,
        } => {
            let written = log.asked(number, &Asked::truncate(sequence, n_tokens));
            let (reply, answer) = once(written, reply, |()| Reply::Done);
            let request = GpuRequest::Truncate {
                sequence,
                n_tokens,
                reply,
            };
            (request, Some(answer))
        }
        GpuRequest::Stats { reply } => {
            let written = log.asked(number, &Asked::stats());
            let (reply, answer) = once(written, reply, |stats| Reply::Stats(stats.clone()));
            (GpuRequest::Stats { reply }, Some(answer))
        }
        GpuRequest::Speech(request) => speech(request, number, log),
        // Nobody hears of it.
        GpuRequest::Close { sequence } => (GpuRequest::Close { sequence }, None),
    }
}

fn speech(request: SpeechRequest, number: u64, log: &Arc<Log>) -> (GpuRequest, Option<Answer>) {
    let (request, answer) = match request {
        SpeechRequest::Load {
            source,
            options,
            progress,
            reply,
        } => {
            let written = log.asked(number, &Asked::load_speech(&options));
            let (reply, answer) = once(written, reply, |info| Reply::LoadedSpeech(info.clone()));
            let request = SpeechRequest::Load {
                source,
                options,
                progress,
                reply,
            };
            (request, answer)
        }
        SpeechRequest::Transcribe { request, reply } => {
            let written = log.asked(number, &Asked::transcribe(&request));
            let (reply, answer) = once(written, reply, |heard| Reply::Heard(heard.clone()));
            (SpeechRequest::Transcribe { request, reply }, answer)
        }
    };
    (GpuRequest::Speech(request), Some(answer))
}

fn encode(
    request: EncodeRequest,
    reply: Sender<Result<FeatureHandle>>,
    number: u64,
    log: &Arc<Log>,
) -> (GpuRequest, Option<Answer>) {
    let asked = Asked::encode(&request);
    let (digest, keeper) = (asked.digest(), log.clone());
    let written = log.asked(number, &asked);
    let (reply, answer) = once(written, reply, move |handle: &FeatureHandle| {
        keeper.keep_picture(handle.key.id, digest);
        Reply::Encoded {
            grid_thw: handle.grid_thw,
            n_tokens: handle.key.n_tokens,
        }
    });
    (GpuRequest::Encode { request, reply }, Some(answer))
}

fn generate(
    request: GenerateRequest,
    caller: Sender<Result<GenerateEvent>>,
    number: u64,
    log: &Arc<Log>,
) -> (GpuRequest, Option<Answer>) {
    let written = log.asked(number, &Asked::generate(&request, |key| log.picture(key)));
    let (reply, events) = bounded(MAX_EVENTS);
    let answer = async move {
        loop {
            let event = std::pin::pin!(events.recv());
            let event = match select(event, std::pin::pin!(caller.closed())).await {
                Either::Left((Ok(event), _)) => event,
                Either::Left((Err(_), _)) => return,
                // Dropping `events` cancels the answer.
                Either::Right(_) => return written.replied(&Reply::Gone),
            };
            written.replied(&Reply::of(&event, |event: &GenerateEvent| Reply::Event(event.clone())));
            if caller.send(event).await.is_err() {
                return written.replied(&Reply::Gone);
            }
        }
    };
    (GpuRequest::Generate { request, reply }, Some(Box::pin(answer)))
}

/// A reply that comes once, through the log.
fn once<T: Send + 'static>(
    written: Written,
    caller: Sender<Result<T>>,
    kept: impl FnOnce(&T) -> Reply + Send + 'static,
) -> (Sender<Result<T>>, Answer) {
    let (reply, answer) = bounded(1);
    let pass = async move {
        let result = std::pin::pin!(answer.recv());
        match select(result, std::pin::pin!(caller.closed())).await {
            Either::Left((Ok(result), _)) => {
                written.replied(&Reply::of(&result, kept));
                drop(caller.try_send(result));
            }
            Either::Left((Err(_), _)) => {}
            Either::Right(_) => written.replied(&Reply::Gone),
        }
    };
    (reply, Box::pin(pass))
}
