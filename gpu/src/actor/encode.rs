//! One encoding at a time, a slice a round.

use async_channel::Sender;

use super::{GpuActor, fence};
use crate::engine::{Engine, ReadFuture};
use crate::error::Result;
use crate::model::qwen3_vl::runner::EncodePass;
use crate::protocol::{EncodeRequest, FeatureHandle};

/// An encoding that waits or is under way.
pub(super) struct Encoding {
    request: EncodeRequest,
    reply: Sender<Result<FeatureHandle>>,
    pass: Option<Pass>,
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
        Self {
            request,
            reply,
            pass: None,
        }
    }
}

impl<E: Engine> GpuActor<E> {
    /// Queues one slice of the encoding that is due.
    pub(super) async fn encode_round(&mut self) {
        let Some(mut encoding) = self.encodings.pop_front() else {
            return;
        };
        if encoding.reply.is_closed() {
            return; // cancelled: nobody waits for it
        }
        match self.encode_slice(&mut encoding).await {
            Ok(None) => self.encodings.push_front(encoding),
            Ok(Some(features)) => drop(encoding.reply.try_send(Ok(features))),
            Err(error) => drop(encoding.reply.try_send(Err(error))),
        }
    }

    async fn encode_slice(&mut self, encoding: &mut Encoding) -> Result<Option<FeatureHandle>> {
        let request = &encoding.request;
        let loaded = self
            .models
            .get_mut(&request.model)
            .ok_or(crate::Error::UnknownModel { model: request.model.0 })?;
        let (engine, runner) = (&mut self.engine, &mut loaded.runner);
        let mut pass = match encoding.pass.take() {
            Some(pass) => pass,
            None => Pass {
                started: self.timing.now(),
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
            pass.behind = Some(fence(&mut self.engine, loaded));
            encoding.pass = Some(pass);
            return Ok(None);
        }
        let features = loaded.runner.finish_encode(&mut self.engine)?;
        fence(&mut self.engine, loaded).await?;
        self.timing
            .record("gpu.encode", pass.started, &[("n_tokens", features.n_tokens as f64)]);
        let patch = loaded.runner.model.vision.config.patch_size;
        let grid_thw = [1, (request.height / patch) as u32, (request.width / patch) as u32];
        Ok(Some(FeatureHandle {
            model: request.model,
            grid_thw,
            tensors: features.into(),
        }))
    }
}
