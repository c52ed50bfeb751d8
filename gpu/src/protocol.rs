//! What the rest of the program says to an engine: requests, replies, and the handle that carries them.
//!
//! A request carries its reply sender; dropping the receiver cancels it, and the actor looks between steps.

pub mod speech;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use async_channel::{Receiver, Sender, bounded};

use crate::engine::Adapter;
use crate::error::{Error, Result};
use crate::model::qwen3_vl::features::FeatureKey;
use crate::sampler::Sampling;
use crate::weights::source::Source;

/// A loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(pub u64);

/// A conversation's tokens and their KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

/// How matrices are stored on the engine. Norms, biases and activations are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quant {
    /// f32, exact for every checkpoint type.
    DenseF32,
    /// f16.
    DenseF16,
    #[default]
    Q8,
    /// Matrices 4-bit; embeddings and the output layer 8-bit.
    Q4,
}

/// Options of [`GpuHandle::load`].
#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub quant: Quant,
    /// Tokens that the KV cache holds, over all sequences.
    pub context_tokens: usize,
    /// KV cache in f16 instead of f32.
    pub kv_f16: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            quant: Quant::default(),
            context_tokens: 8192,
            kv_f16: true,
        }
    }
}

/// How far a load is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    pub tensor: String,
    pub done_bytes: u64,
    pub total_bytes: u64,
}

/// What the other stages need to know of a loaded model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    pub id: ModelId,
    pub name: String,
    pub vocab_size: usize,
    /// Tokens that fit in the cache.
    pub context_tokens: usize,
    /// Pixels a patch side, and patches a merged token side.
    pub patch_size: usize,
    pub merge_size: usize,
    pub image_token_id: u32,
    pub video_token_id: u32,
    pub stop_ids: Vec<u32>,
    pub weight_bytes: u64,
    pub cache_bytes: u64,
}

/// A picture to encode: resized u8 frames.
#[derive(Clone, Debug)]
pub struct EncodeRequest {
    pub model: ModelId,
    /// `[n_frames, height, width, 3]` u8; sides are multiples of `patch_size · merge_size`.
    pub frames: Arc<[u8]>,
    /// 1 for a picture, 2 for a pair of frames of a video.
    pub n_frames: usize,
    pub height: usize,
    pub width: usize,
}

/// Names embeddings on the engine; they, and the frames they came from, are freed when the last clone is dropped.
/// Outlives the engine: after a lost device they are encoded again.
#[derive(Clone)]
pub struct FeatureHandle {
    pub model: ModelId,
    /// Patches: time (1), rows, columns.
    pub grid_thw: [u32; 3],
    pub(crate) key: Arc<FeatureKey>,
}

impl FeatureHandle {
    /// What the actor that gave it knows the features by: the same for all clones, and for no others.
    pub fn id(&self) -> u64 {
        self.key.id
    }
}

impl fmt::Debug for FeatureHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureHandle")
            .field("model", &self.model)
            .field("grid_thw", &self.grid_thw)
            .finish_non_exhaustive()
    }
}

/// A prompt to answer.
#[derive(Clone, Debug)]
pub struct GenerateRequest {
    pub model: ModelId,
    /// The sequence to go on with; what it shares with `tokens` from the start is not computed again.
    /// `None` uses one of the actor's own and forgets nothing that others hold.
    pub sequence: Option<SequenceId>,
    /// The whole prompt, pads included.
    pub tokens: Arc<[u32]>,
    /// In order: index of the first pad in `tokens`, and what replaces the pads.
    pub media: Vec<(usize, FeatureHandle)>,
    pub sampling: Sampling,
    pub max_new_tokens: u32,
    /// Empty: the model's own.
    pub stop_ids: Vec<u32>,
    pub thinking: Option<ThinkBudget>,
}

/// The answer starts inside a thought, which is closed by force after `max_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThinkBudget {
    pub max_tokens: u32,
    pub end_id: u32,
}

/// What comes back of a [`GenerateRequest`], in order: `Prefill`…, `Tokens`…, then `Finished` or the error.
#[derive(Clone, Debug, PartialEq)]
pub enum GenerateEvent {
    /// Prompt tokens in the cache so far; `reused` of them were there before.
    Prefill {
        done: usize,
        reused: usize,
        total: usize,
    },
    /// The ids sampled since the last event, and their log-probabilities.
    Tokens {
        ids: Vec<u32>,
        logprobs: Vec<f32>,
    },
    Finished {
        reason: FinishReason,
        stats: GenerateStats,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    Stop,
    Length,
    Cancelled,
}

/// Times of one answer as the actor measured them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GenerateStats {
    pub prompt_tokens: usize,
    pub reused_tokens: usize,
    pub new_tokens: usize,
    pub prefill_s: f64,
    pub decode_s: f64,
}

/// What an engine holds.
#[derive(Clone, Debug)]
pub struct EngineStats {
    pub adapter: Adapter,
    pub memory_bytes: u64,
    pub sequences: usize,
    pub cache_tokens_used: usize,
    pub cache_tokens_total: usize,
}

/// A message to the GPU actor.
pub enum GpuRequest {
    Load {
        source: Arc<dyn Source>,
        options: LoadOptions,
        progress: Option<Sender<LoadProgress>>,
        reply: Sender<Result<ModelInfo>>,
    },
    Encode {
        request: EncodeRequest,
        reply: Sender<Result<FeatureHandle>>,
    },
    Generate {
        request: GenerateRequest,
        reply: Sender<Result<GenerateEvent>>,
    },
    /// An empty sequence.
    Open {
        model: ModelId,
        reply: Sender<Result<SequenceId>>,
    },
    /// A second sequence with the same tokens; whole blocks of the cache are shared.
    Fork {
        sequence: SequenceId,
        reply: Sender<Result<SequenceId>>,
    },
    /// Keeps the first `n_tokens`.
    Truncate {
        sequence: SequenceId,
        n_tokens: usize,
        reply: Sender<Result<()>>,
    },
    Close {
        sequence: SequenceId,
    },
    Stats {
        reply: Sender<Result<EngineStats>>,
    },
    Speech(speech::SpeechRequest),
}

/// Speaks to one engine's actor. Cheap to clone; the actor ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct GpuHandle {
    pub(crate) requests: Sender<GpuRequest>,
    /// Closes when the actor has ended and its engine is gone.
    pub(crate) ended: Receiver<Infallible>,
}

/// The end of an actor. A program must not exit before: drivers crash when a process ends while a thread is inside them.
#[derive(Clone, Debug)]
pub struct Ended(Receiver<Infallible>);

impl Ended {
    /// Waits until the actor has ended, which it does when all its handles are gone, and its engine is dropped.
    pub async fn wait(self) {
        let _ = self.0.recv().await;
    }
}

/// Requests for whatever answers in an actor's place. Its [`Ended`] comes when this is dropped.
#[derive(Debug)]
pub struct Inbox {
    requests: Receiver<GpuRequest>,
    _running: Sender<Infallible>,
}

impl Inbox {
    /// The next request; `None` when all handles are gone.
    pub async fn recv(&self) -> Option<GpuRequest> {
        self.requests.recv().await.ok()
    }
}

impl GpuHandle {
    /// A handle whose requests come out of the inbox, of which `size` wait before a sender does.
    pub fn to_inbox(size: usize) -> (Self, Inbox) {
        let (requests, inbox) = bounded(size.max(1));
        let (running, ended) = bounded(1);
        let inbox = Inbox {
            requests: inbox,
            _running: running,
        };
        (Self { requests, ended }, inbox)
    }

    /// Loads a checkpoint; `progress` is told of each tensor (its sender never waits: a full channel skips).
    ///
    /// Errors: those of the source, of the configuration, of missing or wrong tensors, and of memory.
    pub async fn load(
        &self,
        source: Arc<dyn Source>,
        options: LoadOptions,
        progress: Option<Sender<LoadProgress>>,
    ) -> Result<ModelInfo> {
        self.ask(|reply| GpuRequest::Load {
            source,
            options,
            progress,
            reply,
        })
        .await
    }

    /// Runs the vision tower over a picture or a pair of frames.
    pub async fn encode(&self, request: EncodeRequest) -> Result<FeatureHandle> {
        self.ask(|reply| GpuRequest::Encode { request, reply }).await
    }

    /// Answers a prompt. Drop the receiver to cancel.
    pub async fn generate(&self, request: GenerateRequest) -> Result<Receiver<Result<GenerateEvent>>> {
        let (reply, events) = bounded(64);
        self.requests
            .send(GpuRequest::Generate { request, reply })
            .await
            .map_err(|_| Error::ActorGone)?;
        Ok(events)
    }

    pub async fn open(&self, model: ModelId) -> Result<SequenceId> {
        self.ask(|reply| GpuRequest::Open { model, reply }).await
    }

    pub async fn fork(&self, sequence: SequenceId) -> Result<SequenceId> {
        self.ask(|reply| GpuRequest::Fork { sequence, reply }).await
    }

    pub async fn truncate(&self, sequence: SequenceId, n_tokens: usize) -> Result<()> {
        self.ask(|reply| GpuRequest::Truncate {
            sequence,
            n_tokens,
            reply,
        })
        .await
    }

    pub async fn close(&self, sequence: SequenceId) -> Result<()> {
        self.requests
            .send(GpuRequest::Close { sequence })
            .await
            .map_err(|_| Error::ActorGone)
    }

    pub async fn stats(&self) -> Result<EngineStats> {
        self.ask(|reply| GpuRequest::Stats { reply }).await
    }

    /// What tells when the actor has ended. It does not keep the actor alive.
    pub fn ended(&self) -> Ended {
        Ended(self.ended.clone())
    }

    pub(crate) async fn ask<T>(&self, request: impl FnOnce(Sender<Result<T>>) -> GpuRequest) -> Result<T> {
        let (reply, answer) = bounded(1);
        self.requests.send(request(reply)).await.map_err(|_| Error::ActorGone)?;
        answer.recv().await.map_err(|_| Error::ActorGone)?
    }
}
