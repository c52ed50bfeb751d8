//! An engine that gives what another one gave in a recorded run. It computes nothing and needs no weights; what it takes of time
//! is charged to the run's clock.
//!
//! A request is known again by what it asks for, not by its turn, because stages that work side by side do not ask in the
//! same order twice.

use std::collections::BTreeMap;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use pipeline::record::{Tape, TapeEnd};
use pipeline::spawn::{self, BoxFuture};
use pipeline::time::Clock;

use super::MAX_WAITING;
use super::tape::{ASKED, Asked, REPLIED, Reply, asked_from_bytes, error_of, reply_from_bytes};
use crate::error::{Error, Result};
use crate::model::qwen3_vl::features::{DropQueue, FeatureKey};
use crate::protocol::speech::SpeechRequest;
use crate::protocol::{FeatureHandle, GpuHandle, GpuRequest, ModelId};

/// How much longer than in the recorded run an answer that was given up there is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts what plays engine `name` of a recording in the time of `clock`, which should be virtual.
///
/// Errors: [`Error::Recorded`] if the engine's part of the recording makes no sense.
///
/// # Panics
/// Natively outside a tokio runtime.
pub fn replay(tape: &Tape, name: &str, clock: &Clock) -> Result<GpuHandle> {
    let played = Played {
        requests: requests(tape, name)?,
        first: 0,
        end: tape.end.clone(),
        clock: clock.clone(),
        pictures: BTreeMap::new(),
        last_key: 0,
        dropped: DropQueue::default(),
    };
    let (requests, inbox) = bounded(MAX_WAITING);
    let (running, ended) = bounded(1);
    let serve = async move {
        let _running = running;
        serve(inbox, played).await;
    };
    let _runs_by_itself = spawn::spawn_tracked(clock, serve);
    Ok(GpuHandle { requests, ended })
}

/// A recorded request.
struct Recorded {
    number: u64,
    asked: Asked,
    replies: Vec<(Duration, Reply)>,
    is_used: bool,
}

/// The requests to one engine in their order, with their replies.
fn requests(tape: &Tape, name: &str) -> Result<Vec<Recorded>> {
    let fail = |at_byte: u64, why: String| Error::Recorded {
        message: format!("the recording makes no sense at byte {at_byte}: {why}"),
    };
    let mut requests: Vec<Recorded> = Vec::new();
    let mut places = BTreeMap::new();
    for chunk in tape.others() {
        let failed = |error: pipeline::error::Error| fail(chunk.at_byte, error.to_string());
        match chunk.kind {
            ASKED => {
                let (engine, number, _, asked) = asked_from_bytes(&chunk.payload).map_err(failed)?;
                if engine == name {
                    places.insert(number, requests.len());
                    requests.push(Recorded {
                        number,
                        asked,
                        replies: Vec::new(),
                        is_used: false,
                    });
                }
            }
            REPLIED => {
                let (engine, number, after, reply) = reply_from_bytes(&chunk.payload).map_err(failed)?;
                if engine == name {
                    let request = places.get(&number).and_then(|place| requests.get_mut(*place));
                    let request = request.ok_or_else(|| fail(chunk.at_byte, "a reply to nothing".to_owned()))?;
                    request.replies.push((after, reply));
                }
            }
            _ => {}
        }
    }
    Ok(requests)
}

/// An engine's part of a recording as it is played.
struct Played {
    requests: Vec<Recorded>,
    /// All before it are used.
    first: usize,
    end: TapeEnd,
    clock: Clock,
    /// What features were made of, by their key.
    pictures: BTreeMap<u64, u64>,
    last_key: u64,
    dropped: DropQueue,
}

type Replies = Vec<(Duration, Reply)>;
type Answer = BoxFuture<'static, ()>;

async fn serve(inbox: Receiver<GpuRequest>, mut played: Played) {
    let mut under_way = FuturesUnordered::new();
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
        under_way.extend(played.answer(request));
    }
    while under_way.next().await.is_some() {}
}

impl Played {
    /// The replies to the first request of the recording that asks for the same and was not answered yet.
    ///
    /// Errors: [`Error::Diverged`] if there is none; [`Error::Recorded`] if there may have been one after the recording's end.
    fn find(&mut self, asked: &Asked) -> Result<(u64, Replies)> {
        while self.requests.get(self.first).is_some_and(|request| request.is_used) {
            self.first += 1;
        }
        let is_same = |request: &&mut Recorded| !request.is_used && request.asked == *asked;
        if let Some(request) = self.requests[self.first..].iter_mut().find(is_same) {
            request.is_used = true;
            let replies = std::mem::take(&mut request.replies);
            return Ok((request.number, replies));
        }
        if let Some(end) = self.end.error() {
            return Err(error_of(&end.to_string()));
        }
        let mut of_kind = self.requests.iter().filter(|request| request.asked.what == asked.what);
        let n_recorded = of_kind.clone().count();
        Err(match of_kind.find(|request| !request.is_used) {
            Some(request) => Error::Diverged {
                number: request.number,
                what: asked.what.clone(),
                difference: request.asked.differences(asked),
            },
            None => Error::Diverged {
                number: self.requests.len() as u64,
                what: asked.what.clone(),
                difference: format!("it was never recorded: there are {n_recorded} of its kind, and all were asked for again"),
            },
        })
    }

    /// What one reply is, and when; or why there is none.
    fn one(&mut self, asked: &Asked) -> (Duration, Result<Reply>) {
        match self.find(asked) {
            Err(error) => (Duration::ZERO, Err(error)),
            Ok((number, replies)) => match replies.into_iter().next() {
                Some((after, Reply::Failed(message))) => (after, Err(error_of(&message))),
                Some((after, reply)) => (after, Ok(reply)),
                None => (Duration::ZERO, Err(self.unanswered(number, asked))),
            },
        }
    }

    fn unanswered(&self, number: u64, asked: &Asked) -> Error {
        match self.end.error() {
            Some(end) => error_of(&end.to_string()),
            None => Error::Diverged {
                number,
                what: asked.what.clone(),
                difference: "the recorded run ended before it was answered".to_owned(),
            },
        }
    }

    fn answer(&mut self, request: GpuRequest) -> Option<Answer> {
        for key in self.dropped.drain() {
            self.pictures.remove(&key);
        }
        match request {
            GpuRequest::Load { options, reply, .. } => {
                let one = self.one(&Asked::load(&options));
                Some(self.once(reply, one, |reply| match reply {
                    Reply::Loaded(info) => Some(info),
                    _ => None,
                }))
            }
            GpuRequest::Encode { request, reply } => {
                let asked = Asked::encode(&request);
                let one = self.one(&asked);
                let handles = self.handles(request.model, asked.digest());
                Some(self.once(reply, one, handles))
            }
            GpuRequest::Generate { request, reply } => {
                let pictures = &self.pictures;
                let asked = Asked::generate(&request, |key| pictures.get(&key).copied().unwrap_or_default());
                let (clock, found) = (self.clock.clone(), self.find(&asked));
                let unanswered = found.as_ref().ok().map(|(number, _)| self.unanswered(*number, &asked));
                Some(Box::pin(stream(clock, reply, asked.what, found, unanswered)))
            }
            GpuRequest::Open { model, reply } => {
                let one = self.one(&Asked::open(model));
                Some(self.once(reply, one, sequence_of))
            }
            GpuRequest::Fork { sequence, reply } => {
                let one = self.one(&Asked::fork(sequence));
                Some(self.once(reply, one, sequence_of))
            }
            GpuRequest::Truncate {
                sequence,
                n_tokens,
                reply,
            } => {
                let one = self.one(&Asked::truncate(sequence, n_tokens));
                Some(self.once(reply, one, |reply| matches!(reply, Reply::Done).then_some(())))
            }
            GpuRequest::Stats { reply } => {
                let one = self.one(&Asked::stats());
                Some(self.once(reply, one, |reply| match reply {
                    Reply::Stats(stats) => Some(stats),
                    _ => None,
                }))
            }
            GpuRequest::Speech(SpeechRequest::Load { options, reply, .. }) => {
                let one = self.one(&Asked::load_speech(&options));
                Some(self.once(reply, one, |reply| match reply {
                    Reply::LoadedSpeech(info) => Some(info),
                    _ => None,
                }))
            }
            GpuRequest::Speech(SpeechRequest::Transcribe { request, reply }) => {
                let one = self.one(&Asked::transcribe(&request));
                Some(self.once(reply, one, |reply| match reply {
                    Reply::Heard(heard) => Some(heard),
                    _ => None,
                }))
            }
            GpuRequest::Close { .. } => None,
        }
    }

    /// Makes a handle of a reply; the picture is known by it from then on.
    fn handles(&mut self, model: ModelId, digest: u64) -> impl FnOnce(Reply) -> Option<FeatureHandle> + Send + use<> {
        self.last_key += 1;
        let (id, dropped) = (self.last_key, self.dropped.clone());
        self.pictures.insert(id, digest);
        move |reply| match reply {
            Reply::Encoded { grid_thw, n_tokens } => Some(FeatureHandle {
                model,
                grid_thw,
                key: FeatureKey { id, n_tokens, dropped }.into(),
            }),
            _ => None,
        }
    }

    fn once<T: Send + 'static>(
        &self,
        caller: Sender<Result<T>>,
        (after, reply): (Duration, Result<Reply>),
        take: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Answer {
        let clock = self.clock.clone();
        Box::pin(async move {
            clock.charge(after).await;
            let result = match reply {
                // Nobody waited for it any longer.
                Ok(Reply::Gone) => {
                    clock.charge(PATIENCE).await;
                    Err(error_of("the recorded run did not wait for this reply"))
                }
                Ok(reply) => take(reply).ok_or_else(|| error_of("the recording has a reply of another kind here")),
                Err(error) => Err(error),
            };
            drop(caller.try_send(result));
        })
    }
}

fn sequence_of(reply: Reply) -> Option<crate::protocol::SequenceId> {
    match reply {
        Reply::Sequence(sequence) => Some(sequence),
        _ => None,
    }
}

/// Tells the events of an answer at their times; `unanswered` is what is told if they have no end.
async fn stream(
    clock: Clock,
    caller: Sender<Result<crate::protocol::GenerateEvent>>,
    what: String,
    found: Result<(u64, Replies)>,
    unanswered: Option<Error>,
) {
    use crate::protocol::GenerateEvent::Finished;
    let (number, replies) = match found {
        Ok(found) => found,
        Err(error) => return drop(caller.send(Err(error)).await),
    };
    let started = clock.now();
    let mut given_up = false;
    for (after, reply) in replies {
        let now = clock.now().since(started);
        clock.charge(after.saturating_sub(now)).await;
        let event = match reply {
            Reply::Event(event) => Ok(event),
            Reply::Failed(message) => Err(error_of(&message)),
            Reply::Gone => {
                given_up = true;
                break;
            }
            _ => Err(error_of("the recording has a reply of another kind here")),
        };
        let is_last = matches!(event, Ok(Finished { .. }) | Err(_));
        if caller.send(event).await.is_err() || is_last {
            return;
        }
    }
    let error = match given_up {
        false => unanswered.unwrap_or(Error::ActorGone),
        true => {
            let patience = std::pin::pin!(clock.charge(PATIENCE));
            if let Either::Left(_) = select(std::pin::pin!(caller.closed()), patience).await {
                return;
            }
            Error::Diverged {
                number,
                what,
                difference: "the recorded run gave it up, and this one did not".to_owned(),
            }
        }
    };
    drop(caller.send(Err(error)).await);
}
