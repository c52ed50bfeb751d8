//! What can go wrong between a checkpoint and a token.

/// An error of crate `gpu`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("{op}: {operand} is {found}, expected {expected}")]
    Shape {
        op: &'static str,
        operand: &'static str,
        found: String,
        expected: String,
    },
    #[error(
        "no GPU adapter was found: {reason}; install a Vulkan driver (on Debian `mesa-vulkan-drivers` renders on the CPU), or set the engine's type to \"sim\""
    )]
    NoAdapter { reason: String },
    #[error("adapter {adapter} is too small: {limit} is {found}, needed {needed}")]
    AdapterTooSmall {
        adapter: String,
        limit: &'static str,
        found: u64,
        needed: u64,
    },
    #[error("engine: {what}: {message}")]
    Engine { what: &'static str, message: String },
    #[error("the device was lost: {message}")]
    DeviceLost { message: String },
    #[error("out of memory: {what} needs {size_bytes} bytes")]
    OutOfMemory { what: String, size_bytes: u64 },
    #[error("{file}: {message}")]
    File { file: String, message: String },
    /// A source cannot bring it now.
    #[error("{file} did not arrive: {message}")]
    Unreachable { file: String, message: String },
    #[error("{file}: tensor {tensor}: {message}")]
    Tensor { file: String, tensor: String, message: String },
    #[error("{model}: tensor {tensor} is missing{hint}")]
    MissingTensor { model: String, tensor: String, hint: String },
    #[error("{file}: {key} is {found}; supported: {supported}")]
    Unsupported {
        file: String,
        key: String,
        found: String,
        supported: String,
    },
    #[error("model {model} is not loaded on this engine")]
    UnknownModel { model: u64 },
    #[error("the prompt is bad: {message}")]
    Prompt { message: String },
    #[error("the context is full: {needed} tokens are needed, {available} fit")]
    ContextFull { needed: usize, available: usize },
    /// What was said in a recorded run, or about its recording.
    #[error("{message}")]
    Recorded { message: String },
    /// A replay asks for something else than the recorded run did; `number` counts its requests to the engine from 0.
    #[error("the replay leaves the recording at request {number} ({what}): {difference}")]
    Diverged { number: u64, what: String, difference: String },
    #[error("the GPU actor has ended")]
    ActorGone,
    #[error("cancelled")]
    Cancelled,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
