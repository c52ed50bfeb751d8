//! What can go wrong in the tab, in words that the page shows as they are.

use pipeline::error::chain;

use crate::protocol::{Failure, FailureKind};

/// This crate's errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request is not valid: {0}")]
    Request(#[from] serde_json::Error),
    #[error("there is no shape \"{name}\"; there are {known}")]
    Shape { name: String, known: String },
    #[error("there is no quantisation {quant}; there are 4, 8 and 0 for dense")]
    Quant { quant: u8 },
    #[error("there is no GPU called \"{name}\"; there are {known}")]
    Profile { name: String, known: String },
    #[error("the configuration has no model that answers")]
    NoAnswer,
    #[error("{engine} stands for a GPU that is not here; its steps take no time of their own")]
    NotReal { engine: String },
    #[error("no step was measured; try again when nothing else is under way")]
    NothingMeasured,
    #[error("the answer ended before its last token")]
    CutShort,
    #[error("{file} did not arrive: {message}")]
    Download { file: String, message: String },
    #[error("the download was cancelled")]
    Cancelled,
    #[error("nothing is prepared yet")]
    NotPrepared,
    #[error("the microphone is gone: it was unplugged, or taken away")]
    MicrophoneGone,
    #[error("there is no loudspeaker: this browser gives the page no sound")]
    NoLoudspeaker,
    #[error(transparent)]
    Engine(#[from] gpu::Error),
    #[error(transparent)]
    Stages(#[from] stages::Error),
    #[error(transparent)]
    Pipeline(#[from] pipeline::error::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What the page is told.
    pub fn failure(&self) -> Failure {
        Failure {
            kind: self.kind(),
            message: chain(self),
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => kind_of_engine(error),
            Self::Download { .. } => FailureKind::Network,
            Self::Cancelled => FailureKind::Cancelled,
            Self::Pipeline(pipeline::error::Error::Config { .. }) => FailureKind::Config,
            // A stage that failed has the engine's error, or one of ours, somewhere below.
            error => causes(error).find_map(kind_of_cause).unwrap_or(FailureKind::Other),
        }
    }
}

fn kind_of_engine(error: &gpu::Error) -> FailureKind {
    match error {
        gpu::Error::NoAdapter { .. } => FailureKind::NoGpu,
        gpu::Error::AdapterTooSmall { .. } | gpu::Error::OutOfMemory { .. } => FailureKind::GpuTooSmall,
        gpu::Error::DeviceLost { .. } => FailureKind::GpuLost,
        gpu::Error::Unreachable { .. } => FailureKind::Network,
        gpu::Error::Cancelled => FailureKind::Cancelled,
        _ => FailureKind::Other,
    }
}

fn kind_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<FailureKind> {
    match cause.downcast_ref::<Error>() {
        Some(Error::MicrophoneGone) => Some(FailureKind::NoMicrophone),
        _ => cause.downcast_ref::<gpu::Error>().map(kind_of_engine),
    }
}

fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_kind_of_its_cause() {
        let lost = || gpu::Error::DeviceLost { message: "gone".into() };
        let none = gpu::Error::NoAdapter { reason: "none".into() };
        let in_stage = pipeline::error::Error::Stage {
            stage: "encode".into(),
            source: Box::new(lost()),
        };
        let cases = [
            (Error::from(none), FailureKind::NoGpu),
            (Error::from(lost()), FailureKind::GpuLost),
            (Error::from(in_stage), FailureKind::GpuLost),
            (
                Error::from(pipeline::error::Error::Stage {
                    stage: "microphone".into(),
                    source: Box::new(Error::MicrophoneGone),
                }),
                FailureKind::NoMicrophone,
            ),
            (Error::Cancelled, FailureKind::Cancelled),
            (Error::from(gpu::Error::Cancelled), FailureKind::Cancelled),
            (
                Error::from(gpu::Error::Unreachable {
                    file: "m".into(),
                    message: "gone".into(),
                }),
                FailureKind::Network,
            ),
            (Error::CutShort, FailureKind::Other),
        ];
        for (error, kind) in cases {
            assert_eq!(error.failure().kind, kind, "{error}");
        }
    }
}
