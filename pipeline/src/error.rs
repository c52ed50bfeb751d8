//! What can go wrong in a graph or a run. Not what can go wrong inside a stage: that is the stage's own error, carried here.

use std::fmt;
use std::time::Duration;

/// The error of a stage, as its own crate knows it.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no graph; every fault that was found.
    #[error("{} in the configuration:\n{}", count_of_faults(faults), lines_of_faults(faults))]
    Config { faults: Vec<Fault> },
    #[error("stage {stage} ({type_name}) cannot be built")]
    Build {
        stage: String,
        type_name: String,
        source: Cause,
    },
    #[error("stage {stage} failed")]
    Stage { stage: String, source: Cause },
    #[error("stage {stage} panicked: {message}")]
    Panic { stage: String, message: String },
    /// It worked on a packet and did not move for its `deadline_ms`.
    #[error("stage {stage} hangs: no progress on a packet for {} ms", deadline.as_millis())]
    Hang { stage: String, deadline: Duration },
    /// The run was stopped, and these stages still ran when its deadline came.
    #[error("{} did not end within {} ms and {} aborted", stages.join(", "), deadline.as_millis(), if stages.len() == 1 { "was" } else { "were" })]
    Deadline { stages: Vec<String>, deadline: Duration },
    #[error("no async runtime: start the run inside tokio")]
    NoRuntime,
    #[error("this is no recording of a run: {message}")]
    NotARecording { message: String },
    #[error("the recording is of version {found}; this program reads version {supported}")]
    RecordingVersion { found: u16, supported: u16 },
    /// All before that byte is whole.
    #[error("recording ends early at byte {at_byte}")]
    RecordingCut { at_byte: u64 },
    #[error("the recording is damaged at byte {at_byte}: {message}")]
    RecordingDamaged { at_byte: u64, message: String },
    #[error("the recording cannot be written")]
    RecordingWrite { source: std::io::Error },
    /// Bytes that hold something else than they should.
    #[error("bytes that hold {what}")]
    Malformed { what: &'static str },
    #[error("{kind} cannot be written as bytes: a part of it is a handle")]
    NotBytes { kind: &'static str },
}

/// One thing that is wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The key with its path: `stage.screen.fps`. A stage's own check gives it relative to its section: `fps`.
    pub key: String,
    /// The line in the text, from 1; 0 until the checker has filled it in.
    pub line: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What would be accepted; empty if that goes without saying.
    pub accepted: String,
}

impl Fault {
    pub fn new(key: impl Into<String>, message: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            line: 0,
            message: message.into(),
            accepted: accepted.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.accepted.is_empty() {
            write!(f, "; accepted: {}", self.accepted)?;
        }
        Ok(())
    }
}

fn count_of_faults(faults: &[Fault]) -> String {
    match faults.len() {
        1 => "a fault".to_owned(),
        n => format!("{n} faults"),
    }
}

fn lines_of_faults(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}

/// Every receiver of an output is gone. A stage that returns it (by `?`) ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every receiver is gone")]
pub struct Closed;

/// How a stage ends other than well. `?` makes one from any error type; like `anyhow::Error` it is not one itself.
#[derive(Debug)]
pub enum StageError {
    /// Nobody reads the stage's output any more: a good end, not a failure.
    Closed,
    Failed(Cause),
    /// A failure that a restart cannot mend: it ends the run, whatever the stage's `restart` says.
    Fatal(Cause),
}

impl StageError {
    /// A failure that has only words.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Failed(message.into().into())
    }

    /// A failure that a restart cannot mend.
    pub fn fatal(error: impl Into<Cause>) -> Self {
        Self::Fatal(error.into())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for StageError {
    fn from(error: E) -> Self {
        let cause: Cause = Box::new(error);
        if cause.is::<Closed>() {
            Self::Closed
        } else {
            Self::Failed(cause)
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => Closed.fmt(f),
            Self::Failed(cause) | Self::Fatal(cause) => f.write_str(&chain(cause.as_ref())),
        }
    }
}

/// An error with everything beneath it: `cannot load the model: cannot open model.safetensors: not found`.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let line = source.to_string();
        // Many errors repeat their source in their own words.
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_link_is_a_good_end() {
        fn send() -> Result<(), StageError> {
            Err(Closed)?;
            Ok(())
        }
        assert!(matches!(send(), Err(StageError::Closed)));
    }

    #[test]
    fn any_error_becomes_a_failure_with_its_chain() {
        fn read() -> Result<(), StageError> {
            let inner = std::io::Error::other("disk full");
            Err(Error::Stage {
                stage: "sink".to_owned(),
                source: Box::new(inner),
            })?;
            Ok(())
        }
        assert_eq!(read().unwrap_err().to_string(), "stage sink failed: disk full");
    }
}
