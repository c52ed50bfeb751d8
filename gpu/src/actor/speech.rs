//! One utterance at a time, a slice of its encoding or a batch of its steps a round, between the steps of answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_channel::Sender;

use super::{GpuActor, is_lost};
use crate::engine::{Engine, ReadFuture};
use crate::error::{Error, Result};
use crate::model::parakeet::load;
use crate::model::parakeet::runner::{EncodePass, RING_LEN, Runner, Step, steps_in};
use crate::protocol::LoadProgress;
use crate::protocol::speech::{SpeechInfo, SpeechModelId, SpeechOptions, SpeechRequest, TranscribeRequest, Transcription};
use crate::weights::source::Source;

/// Steps that are queued before their ring is read; those after the end of the frames cost little.
const BATCH: usize = 64;

/// What the actor knows of speech, and what it has to do.
#[derive(Default)]
pub(super) struct Speech {
    models: BTreeMap<SpeechModelId, Loaded>,
    loads: VecDeque<Loading>,
    waiting: VecDeque<Utterance>,
}

struct Loaded {
    runner: Runner,
    source: Arc<dyn Source>,
    options: SpeechOptions,
}

struct Loading {
    source: Arc<dyn Source>,
    options: SpeechOptions,
    progress: Option<Sender<LoadProgress>>,
    reply: Sender<Result<SpeechInfo>>,
}

struct Utterance {
    request: TranscribeRequest,
    reply: Sender<Result<Transcription>>,
    phase: Phase,
}

enum Phase {
    Waiting,
    Encode {
        pass: EncodePass,
        next_slice: usize,
        /// Completes when the slice before the last that was queued has run: at most two are in flight.
        behind: Option<ReadFuture>,
    },
    Decode {
        steps: Vec<Step>,
    },
}

impl Speech {
    pub(super) fn is_due(&self) -> bool {
        !self.loads.is_empty() || !self.waiting.is_empty()
    }

    pub(super) fn accept(&mut self, request: SpeechRequest) {
        match request {
            SpeechRequest::Load {
                source,
                options,
                progress,
                reply,
            } => self.loads.push_back(Loading {
                source,
                options,
                progress,
                reply,
            }),
            SpeechRequest::Transcribe { request, reply } => self.waiting.push_back(Utterance {
                request,
                reply,
                phase: Phase::Waiting,
            }),
        }
    }

    /// The engine is gone: what was under way begins anew.
    pub(super) fn forget_engine(&mut self) {
        for utterance in &mut self.waiting {
            utterance.phase = Phase::Waiting;
        }
    }

    /// Loads all models onto another engine.
    pub(super) async fn put_on<E: Engine>(&mut self, engine: &mut E) -> Result<()> {
        for loaded in self.models.values_mut() {
            loaded.runner = put_on(engine, loaded.source.clone(), loaded.options, None).await?;
        }
        Ok(())
    }

    /// Tells the error to all who wait.
    pub(super) fn fail(&mut self, error: &Error) {
        for loading in self.loads.drain(..) {
            drop(loading.reply.try_send(Err(error.clone())));
        }
        for utterance in self.waiting.drain(..) {
            drop(utterance.reply.try_send(Err(error.clone())));
        }
    }
}

/// The same for a request that comes late.
pub(super) fn refuse(request: SpeechRequest, error: &Error) {
    match request {
        SpeechRequest::Load { reply, .. } => drop(reply.try_send(Err(error.clone()))),
        SpeechRequest::Transcribe { reply, .. } => drop(reply.try_send(Err(error.clone()))),
    }
}

async fn put_on<E: Engine>(
    engine: &mut E,
    source: Arc<dyn Source>,
    options: SpeechOptions,
    progress: Option<&Sender<LoadProgress>>,
) -> Result<Runner> {
    let model = load::load(engine, source, options.quant, progress).await?;
    Runner::new(engine, model, options.max_mel, false)
}

impl<E: Engine> GpuActor<E> {
    /// Does the loads that are due, and a piece of the first utterance.
    ///
    /// Errors: [`Error::DeviceLost`] alone; what was under way stays.
    pub(super) async fn speech_round(&mut self) -> Result<()> {
        while let Some(loading) = self.work.speech.loads.pop_front() {
            let loaded = self.load_speech(&loading).await;
            match self.diagnosed(loaded).await {
                Err(error) if is_lost(&error) => {
                    self.work.speech.loads.push_front(loading);
                    return Err(error);
                }
                result => drop(loading.reply.try_send(result)),
            }
        }
        let Some(mut utterance) = self.work.speech.waiting.pop_front() else {
            return Ok(());
        };
        if utterance.reply.is_closed() {
            return Ok(());
        }
        let heard = self.hear(&mut utterance).await;
        match self.diagnosed(heard).await {
            Ok(None) => self.work.speech.waiting.push_front(utterance),
            Err(error) if is_lost(&error) => {
                self.work.speech.waiting.push_front(utterance);
                return Err(error);
            }
            Ok(Some(transcription)) => {
                self.work.fruitless = 0;
                drop(utterance.reply.try_send(Ok(transcription)));
            }
            Err(error) => drop(utterance.reply.try_send(Err(error))),
        }
        Ok(())
    }

    async fn load_speech(&mut self, loading: &Loading) -> Result<SpeechInfo> {
        let started = self.work.timing.now();
        let (source, options) = (loading.source.clone(), loading.options);
        let runner = put_on(&mut self.engine, source.clone(), options, loading.progress.as_ref()).await?;
        let models = &mut self.work.speech.models;
        let id = SpeechModelId(models.len() as u64 + 1);
        let model = &runner.model;
        let info = SpeechInfo {
            id,
            name: model.name.clone(),
            n_mels: model.config.num_mel_bins,
            max_mel: runner.max_mel(),
            blank_id: model.config.blank_id(),
            vocabulary: model.config.vocabulary.clone(),
            front_end: model.front_end.clone(),
            weight_bytes: model.weight_bytes,
        };
        models.insert(id, Loaded { runner, source, options });
        self.work.fruitless = 0;
        let size_bytes = info.weight_bytes;
        self.work
            .timing
            .record("gpu.load", started, &[("size_bytes", size_bytes as f64)]);
        tracing::info!(model = info.name, size_bytes, "model of speech loaded");
        Ok(info)
    }

    async fn hear(&mut self, utterance: &mut Utterance) -> Result<Option<Transcription>> {
        let started = self.work.timing.now();
        let engine = &mut self.engine;
        let request = &utterance.request;
        let unknown = Error::UnknownModel { model: request.model.0 };
        let runner = &mut self.work.speech.models.get_mut(&request.model).ok_or(unknown)?.runner;
        match std::mem::replace(&mut utterance.phase, Phase::Waiting) {
            Phase::Waiting => {
                let pass = runner.begin_encode(engine, &request.features)?;
                if request.end as usize > pass.n_enc {
                    return Err(Error::Prompt {
                        message: format!("frames to {} were asked for, the sound has {}", request.end, pass.n_enc),
                    });
                }
                utterance.phase = Phase::Encode {
                    pass,
                    next_slice: 0,
                    behind: None,
                };
                Ok(None)
            }
            Phase::Encode {
                pass,
                next_slice,
                behind,
            } => {
                engine.play_slice(pass.prepared, next_slice)?;
                if let Some(behind) = behind {
                    behind.await?;
                }
                let next_slice = next_slice + 1;
                utterance.phase = if next_slice < pass.n_slices {
                    Phase::Encode {
                        pass,
                        next_slice,
                        behind: Some(engine.read(runner.memory.state, 0, 4)),
                    }
                } else {
                    runner.begin_decode(engine, request.first, request.end, request.after.as_deref())?;
                    Phase::Decode { steps: Vec::new() }
                };
                Ok(None)
            }
            Phase::Decode { mut steps } => {
                let done = |steps: &[Step]| match steps.last() {
                    Some(step) => step.next_frame >= request.end,
                    None => request.first >= request.end,
                };
                if !done(&steps) {
                    runner.steps(engine, BATCH.min(RING_LEN))?;
                    let ring = runner.read_ring(engine).await?;
                    for step in steps_in(&ring, steps.len(), BATCH.min(RING_LEN))? {
                        if !done(&steps) {
                            steps.push(step);
                        }
                    }
                }
                if !done(&steps) {
                    utterance.phase = Phase::Decode { steps };
                    return Ok(None);
                }
                let prediction = Arc::new(runner.read_prediction(engine).await?);
                self.work
                    .timing
                    .record("gpu.transcribe", started, &[("n_steps", steps.len() as f64)]);
                Ok(Some(Transcription { steps, prediction }))
            }
        }
    }
}
