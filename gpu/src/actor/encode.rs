//! One encoding at a time, some slices a round: as many as take some milliseconds, so that a small picture is one submission and
//! a large one on a slow adapter keeps nothing waiting. A grid's pace is remembered, so that only its first picture feels its way.

use std::time::Duration;

use async_channel::Sender;
use pipeline::time::Timestamp;

use super::work::{Held, find};
use super::{GpuActor, fence, is_lost};
use crate::engine::{Engine, ReadFuture};
use crate::error::{Error, Result};
use crate::model::qwen3_vl::features::FeatureTensors;
use crate::model::qwen3_vl::runner::EncodePass;
use crate::protocol::{EncodeRequest, FeatureHandle};

/// An encoding that waits or is under way.
pub(super) struct Encoding {
    request: EncodeRequest,
    goes_to: GoesTo,
    pass: Option<Pass>,
}

/// Who wants the features.
enum GoesTo {
    Caller(Sender<Result<FeatureHandle>>),
    /// They were there, under this id, before a device was lost.
    Again(u64),
}

struct Pass {
    of: EncodePass,
    next_slice: usize,
    started: Timestamp,
    /// Completes when the slices, so many, before those that were queued last have run: at most two rounds are in flight.
    behind: Option<(ReadFuture, usize)>,
    /// When such a future completed last.
    last_seen: Option<Timestamp>,
    /// Slices that the next round may have.
    n: usize,
}

/// Work of one round. Two are in flight: a cancel waits for both.
const ROUND: Duration = Duration::from_millis(20);
/// Work of one round beside an answer, whose words wait for it.
const ROUND_BESIDE: Duration = Duration::from_millis(5);

/// How many slices of a known pace are a round.
fn slices_of(round: Duration, slice: Duration) -> usize {
    (round.as_nanos() / slice.as_nanos().max(1)).clamp(1, 1 << 16) as usize
}

/// How many slices may be played next when `n` of them took so long.
fn slices_in_round(round: Duration, took: Duration, n: usize) -> usize {
    // Slowly up: slices differ, and an end that was seen late makes the next round look short.
    slices_of(round * n as u32, took).min(2 * n)
}

/// Of `left` slices those of the next round: as few rounds as can be, all of one length, for under the last one what comes
/// behind the encoding is prepared.
fn even_share(left: usize, n: usize) -> usize {
    left.div_ceil(left.div_ceil(n.max(1)).max(1))
}

impl Encoding {
    pub(super) fn new(request: EncodeRequest, reply: Sender<Result<FeatureHandle>>) -> Self {
        let goes_to = GoesTo::Caller(reply);
        Self {
            request,
            goes_to,
            pass: None,
        }
    }

    /// Is made up for a lost device; there is no caller.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self.goes_to, GoesTo::Again(_))
    }

    pub(super) fn begin_anew(&mut self) {
        self.pass = None;
    }

    pub(super) fn fail(self, error: &Error) {
        if let GoesTo::Caller(reply) = self.goes_to {
            drop(reply.try_send(Err(error.clone())));
        }
    }
}

impl<E: Engine> GpuActor<E> {
    /// Queues some slices of the encoding that is due.
    ///
    /// Errors: [`Error::DeviceLost`]; the encoding stays.
    pub(super) async fn encode_round(&mut self) -> Result<()> {
        let Some(mut encoding) = self.work.encodings.pop_front() else {
            return Ok(());
        };
        let unwanted = match &encoding.goes_to {
            GoesTo::Caller(reply) => reply.is_closed(),
            GoesTo::Again(id) => !self.work.features.contains_key(id),
        };
        if unwanted {
            return Ok(());
        }
        let played = self.encode_slices(&mut encoding).await;
        match self.diagnosed(played).await {
            Ok(None) => self.work.encodings.push_front(encoding),
            Err(error) if is_lost(&error) => {
                self.work.encodings.push_front(encoding);
                return Err(error);
            }
            Ok(Some(features)) => {
                self.work.fruitless = 0;
                self.hand_on(encoding, Ok(features));
            }
            Err(error) => self.hand_on(encoding, Err(error)),
        }
        Ok(())
    }

    fn hand_on(&mut self, encoding: Encoding, result: Result<FeatureTensors>) {
        let request = encoding.request;
        match encoding.goes_to {
            GoesTo::Caller(reply) => {
                let handle = result.and_then(|tensors| {
                    let model = request.model;
                    let vision = &self.work.loaded(model)?.runner.model.vision;
                    let patch = vision.config.patch_size;
                    Ok(FeatureHandle {
                        model,
                        grid_thw: [1, (request.height / patch) as u32, (request.width / patch) as u32],
                        key: self.work.keep(request, tensors),
                    })
                });
                drop(reply.try_send(handle));
            }
            GoesTo::Again(id) => match (self.work.features.get_mut(&id), result) {
                (Some(encoded), Ok(tensors)) => encoded.held = Held::OnEngine(tensors),
                (Some(encoded), Err(error)) => encoded.held = Held::Failed(error),
                (None, Ok(tensors)) => tensors.free(&mut self.engine),
                (None, Err(_)) => {}
            },
        }
    }

    async fn encode_slices(&mut self, encoding: &mut Encoding) -> Result<Option<FeatureTensors>> {
        // Beside an answer each round is waited for, so that its time is not counted as the answer's.
        let is_alone = self.work.generations.is_empty();
        let request = &encoding.request;
        let loaded = find(&mut self.work.models, request.model)?;
        let (engine, runner) = (&mut self.engine, &mut loaded.runner);
        let round = if is_alone { ROUND } else { ROUND_BESIDE };
        let mut pass = match encoding.pass.take() {
            Some(pass) => pass,
            None => {
                let started = self.work.timing.now();
                let (height, width) = (request.height, request.width);
                let of = runner.begin_encode(engine, &request.frames, request.n_frames, height, width, "image")?;
                Pass {
                    n: of.slice.map_or(1, |slice| slices_of(round, slice)),
                    started,
                    of,
                    next_slice: 0,
                    behind: None,
                    last_seen: None,
                }
            }
        };
        let queued = self.work.timing.now();
        let n = even_share(pass.of.n_slices - pass.next_slice, pass.n);
        let end = pass.next_slice + n;
        engine.play_slices(pass.of.prepared, pass.next_slice..end)?;
        pass.next_slice = end;
        if let Some((behind, n)) = pass.behind.take() {
            behind.await?;
            let now = self.work.timing.now();
            if let Some(before) = pass.last_seen.replace(now) {
                let took = now.since(before);
                pass.n = slices_in_round(round, took, n);
                runner.keep_pace(took / n.max(1) as u32);
            }
        }
        if pass.next_slice < pass.of.n_slices {
            let played = fence(&mut self.engine, loaded);
            if is_alone {
                pass.behind = Some((played, n));
            } else {
                played.await?;
                let now = self.work.timing.now();
                pass.last_seen = Some(now);
                pass.n = slices_in_round(round, now.since(queued), n);
            }
            encoding.pass = Some(pass);
            return Ok(None);
        }
        let features = loaded.runner.finish_encode(&mut self.engine)?;
        if let Err(error) = fence(&mut self.engine, loaded).await {
            features.free(&mut self.engine);
            return Err(error);
        }
        self.work
            .timing
            .record("gpu.encode", pass.started, &[("n_tokens", features.n_tokens as f64)]);
        Ok(Some(features))
    }

    /// Whether these features are on the engine. If a device took them with it they are encoded again, before all
    /// encodings that were not begun.
    ///
    /// Errors: that of encoding them again; the next who asks tries once more.
    pub(super) fn are_here(&mut self, id: u64) -> Result<bool> {
        let work = &mut self.work;
        let Some(encoded) = work.features.get_mut(&id) else {
            return Err(Error::Prompt {
                message: "features of another engine".into(),
            });
        };
        match std::mem::replace(&mut encoded.held, Held::Due) {
            Held::OnEngine(tensors) => {
                encoded.held = Held::OnEngine(tensors);
                return Ok(true);
            }
            Held::Due => {}
            Held::Lost => {
                // One pass at a time: the one that was begun is finished first.
                let begun = work.encodings.iter().take_while(|encoding| encoding.pass.is_some()).count();
                work.encodings.insert(
                    begun,
                    Encoding {
                        request: encoded.request.clone(),
                        goes_to: GoesTo::Again(id),
                        pass: None,
                    },
                );
            }
            Held::Failed(error) => {
                encoded.held = Held::Lost;
                return Err(error);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_as_long_as_some_milliseconds_take_and_never_empty() {
        let after = |took_us, n| slices_in_round(Duration::from_millis(20), Duration::from_micros(took_us), n);
        assert_eq!(after(1000, 1), 2, "no more than twice as many");
        assert_eq!(after(8000, 8), 16);
        assert_eq!(after(16_000, 16), 20);
        assert_eq!(after(40_000, 16), 8);
        assert_eq!(after(200_000, 1), 1);
        assert_eq!(after(0, 2), 4);
        assert_eq!(slices_of(Duration::from_millis(20), Duration::ZERO), 1 << 16);
    }

    #[test]
    fn rounds_are_few_and_even() {
        assert_eq!(even_share(82, 26), 21, "four rounds");
        assert_eq!(even_share(82, 90), 82);
        assert_eq!(even_share(19, 26), 19);
        assert_eq!(even_share(5, 1), 1);
        assert_eq!(even_share(0, 3), 0);
    }
}
