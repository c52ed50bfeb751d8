//! What is said to an engine about speech. A request holds all that it needs, and its answer all that the next one does, so
//! that utterances may take turns and a lost device loses nothing.

use std::fmt;
use std::sync::Arc;

use async_channel::Sender;

use super::{GpuHandle, GpuRequest, LoadProgress, Quant};
use crate::error::Result;
pub use crate::model::parakeet::FrontEnd;
pub use crate::model::parakeet::runner::{Prediction, Step};
use crate::weights::source::Source;

/// A loaded model of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpeechModelId(pub u64);

/// Options of [`GpuHandle::load_speech`].
#[derive(Clone, Copy, Debug)]
pub struct SpeechOptions {
    pub quant: Quant,
    /// Mel frames (10 ms) that one request may have.
    pub max_mel: usize,
}

impl Default for SpeechOptions {
    fn default() -> Self {
        Self {
            quant: Quant::DenseF16,
            max_mel: 2048,
        }
    }
}

/// What the other stages need to know of a loaded model of speech.
#[derive(Clone, Debug)]
pub struct SpeechInfo {
    pub id: SpeechModelId,
    pub name: String,
    pub n_mels: usize,
    pub max_mel: usize,
    pub blank_id: u32,
    /// Pieces by id, where the configuration has them.
    pub vocabulary: Vec<String>,
    pub front_end: FrontEnd,
    pub weight_bytes: u64,
}

/// Sound to hear.
#[derive(Clone, Debug)]
pub struct TranscribeRequest {
    pub model: SpeechModelId,
    /// Normalised log-mel features `[n, n_mels]`.
    pub features: Arc<[f32]>,
    /// Frames of the encoder (80 ms) that are decoded; those around them are context.
    pub first: u32,
    pub end: u32,
    /// What was heard before; `None` at the start of an utterance.
    pub after: Option<Arc<Prediction>>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcription {
    /// Tokens and blanks, with their frames in the request.
    pub steps: Vec<Step>,
    /// For the request that goes on from here.
    pub prediction: Arc<Prediction>,
}

/// The part of [`GpuRequest`] that is about speech.
pub enum SpeechRequest {
    Load {
        source: Arc<dyn Source>,
        options: SpeechOptions,
        progress: Option<Sender<LoadProgress>>,
        reply: Sender<Result<SpeechInfo>>,
    },
    Transcribe {
        request: TranscribeRequest,
        reply: Sender<Result<Transcription>>,
    },
}

impl fmt::Debug for SpeechRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpeechRequest::Load { .. } => "Load",
            SpeechRequest::Transcribe { .. } => "Transcribe",
        })
    }
}

impl GpuHandle {
    /// Loads a Parakeet-TDT; `progress` as for [`GpuHandle::load`].
    ///
    /// Errors: those of the source, of the configuration, of missing or wrong tensors, and of memory.
    pub async fn load_speech(
        &self,
        source: Arc<dyn Source>,
        options: SpeechOptions,
        progress: Option<Sender<LoadProgress>>,
    ) -> Result<SpeechInfo> {
        self.ask(|reply| {
            GpuRequest::Speech(SpeechRequest::Load {
                source,
                options,
                progress,
                reply,
            })
        })
        .await
    }

    /// Hears a stretch of sound. Drop the future to cancel.
    ///
    /// Errors: `Prompt` for features or frames that do not fit the model; those of the engine.
    pub async fn transcribe(&self, request: TranscribeRequest) -> Result<Transcription> {
        self.ask(|reply| GpuRequest::Speech(SpeechRequest::Transcribe { request, reply }))
            .await
    }
}
