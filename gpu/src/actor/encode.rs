//! One encoding at a time, a slice a round.

use async_channel::Sender;

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
    started: pipeline::time::Timestamp,
    /// Completes when the slice before the last that was queued has run: at most two are in flight.
    behind: Option<ReadFuture>,
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
    /// Queues one slice of the encoding that is due.
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
        let played = self.encode_slice(&mut encoding).await;
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

    async fn encode_slice(&mut self, encoding: &mut Encoding) -> Result<Option<FeatureTensors>> {
        // Beside an answer each slice is waited for, so that its time is not counted as the answer's.
        let is_alone = self.work.generations.is_empty();
        let request = &encoding.request;
        let loaded = find(&mut self.work.models, request.model)?;
        let (engine, runner) = (&mut self.engine, &mut loaded.runner);
        let mut pass = match encoding.pass.take() {
            Some(pass) => pass,
            None => Pass {
                started: self.work.timing.now(),
                of: runner.begin_encode(
                    engine,
                    &request.frames,
                    request.n_frames,
                    request.height,
                    request.width,
                    "image",
                )?,
                next_slice: 0,
                behind: None,
            },
        };
        engine.play_slice(pass.of.prepared, pass.next_slice)?;
        pass.next_slice += 1;
        if let Some(behind) = pass.behind.take() {
            behind.await?;
        }
        if pass.next_slice < pass.of.n_slices {
            let played = fence(&mut self.engine, loaded);
            if is_alone {
                pass.behind = Some(played);
            } else {
                played.await?;
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
