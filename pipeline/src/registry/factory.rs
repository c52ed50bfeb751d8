//! How a type of stage is declared: its ports, its configuration, how it is checked and built.

use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{BuildContext, CheckContext, Need, Port, Signature};
use crate::actor::{BoxStage, Stage};
use crate::config::{config_from_table, faults_of_table};
use crate::error::{Fault, StageError};
use crate::packet::PacketKind;
use crate::spawn::{MaybeSend, MaybeSync};

/// The keys of a type of stage: `#[derive(Deserialize)] #[serde(deny_unknown_fields, default)]`, with a `Default`.
pub trait StageConfig: DeserializeOwned + 'static {}
impl<C: DeserializeOwned + 'static> StageConfig for C {}

type Check<C> = Box<dyn Fn(&C, &CheckContext<'_>) -> Vec<Fault> + Send + Sync>;
type Writes<C> = Box<dyn Fn(&C) -> Vec<PathBuf> + Send + Sync>;

/// A type of stage, whose keys are a `C`.
///
/// ```
/// use pipeline::actor::{Context, Stage};
/// use pipeline::error::{Fault, StageError};
/// use pipeline::packet::PacketKind;
/// use pipeline::registry::{Factory, Registry};
///
/// #[derive(Default, serde::Deserialize)]
/// #[serde(deny_unknown_fields, default)]
/// struct EveryConfig {
///     /// Passes on every nth frame.
///     n: u32,
/// }
/// struct Every(EveryConfig);
/// impl Stage for Every {
///     async fn run(self, ctx: Context) -> Result<(), StageError> {
///         while let Some(packet) = ctx.recv().await {
///             if packet.seq.is_multiple_of(u64::from(self.0.n)) {
///                 let stamp = packet.stamp();
///                 ctx.send(packet.body, stamp).await?;
///             }
///         }
///         Ok(())
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.add(
///     "vision.every",
///     Factory::new(|config: EveryConfig, _context| Ok(Every(config)))
///         .input("frames", &[PacketKind::Frame])
///         .gives(&[PacketKind::Frame])
///         .check(|config, _context| match config.n {
///             0 => vec![Fault::new("n", "is 0", "a whole number from 1")],
///             _ => Vec::new(),
///         }),
/// );
/// ```
pub struct Factory<C> {
    signature: Signature,
    check: Option<Check<C>>,
    writes: Option<Writes<C>>,
    build: Arc<dyn Build>,
}

/// A closure that builds a stage; a trait because `dyn Fn(…) + MaybeSend` is none.
pub(crate) trait Build: MaybeSend + MaybeSync {
    fn build(&self, context: &BuildContext<'_>) -> Result<BoxStage, StageError>;
}

impl<F: Fn(&BuildContext<'_>) -> Result<BoxStage, StageError> + MaybeSend + MaybeSync> Build for F {
    fn build(&self, context: &BuildContext<'_>) -> Result<BoxStage, StageError> {
        self(context)
    }
}

impl<C: StageConfig> Factory<C> {
    /// `build` makes a stage from its keys; what takes long (loading a model) belongs in the stage's `run`.
    pub fn new<S: Stage>(
        build: impl Fn(C, &BuildContext<'_>) -> Result<S, StageError> + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        let build = move |context: &BuildContext<'_>| -> Result<BoxStage, StageError> {
            let config = config_from_table::<C>(&context.spec.table)?;
            Ok(Box::new(build(config, context)?))
        };
        Self {
            signature: Signature::default(),
            check: None,
            writes: None,
            build: Arc::new(build),
        }
    }

    /// Adds an input that must be connected and takes `kinds`. The key `input` means the first one.
    pub fn input(self, name: &str, kinds: &[PacketKind]) -> Self {
        self.port(name, kinds, true)
    }

    /// Adds an input that may stay unconnected.
    pub fn optional_input(self, name: &str, kinds: &[PacketKind]) -> Self {
        self.port(name, kinds, false)
    }

    fn port(mut self, name: &str, kinds: &[PacketKind], required: bool) -> Self {
        self.signature.inputs.push(Port {
            name: name.to_owned(),
            kinds: kinds.to_vec(),
            required,
        });
        self
    }

    /// The kinds of packet that the stage sends. A stage that takes nothing is a source, one that gives nothing a sink.
    pub fn gives(mut self, kinds: &[PacketKind]) -> Self {
        self.signature.gives = kinds.to_vec();
        self
    }

    /// What the stage gives need not be read by anyone.
    pub fn may_be_unread(mut self) -> Self {
        self.signature.may_be_unread = true;
        self
    }

    /// The stage takes a key `model`.
    pub fn model(mut self, need: Need) -> Self {
        self.signature.model = need;
        self
    }

    /// The stage takes a key `engine`.
    pub fn engine(mut self, need: Need) -> Self {
        self.signature.engine = need;
        self
    }

    /// Checks what types do not: ranges, files that must exist. Keys of faults are relative to the stage's section.
    pub fn check(mut self, check: impl Fn(&C, &CheckContext<'_>) -> Vec<Fault> + Send + Sync + 'static) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    /// The files that the stage writes: two stages must not write the same one.
    pub fn writes(mut self, writes: impl Fn(&C) -> Vec<PathBuf> + Send + Sync + 'static) -> Self {
        self.writes = Some(Box::new(writes));
        self
    }

    pub(super) fn erase(self) -> DynFactory {
        let Self {
            signature,
            check,
            writes,
            build,
        } = self;
        DynFactory {
            signature,
            check: Box::new(move |table, context| {
                let faults = faults_of_table::<C>(table);
                let Ok(config) = config_from_table::<C>(table) else {
                    return Checked {
                        faults,
                        writes: Vec::new(),
                    };
                };
                Checked {
                    faults: check.as_ref().map(|check| check(&config, context)).unwrap_or_default(),
                    writes: writes.as_ref().map(|writes| writes(&config)).unwrap_or_default(),
                }
            }),
            build,
        }
    }
}

/// What a check of a stage's table found.
pub(crate) struct Checked {
    pub faults: Vec<Fault>,
    pub writes: Vec<PathBuf>,
}

type DynCheck = dyn Fn(&toml::Table, &CheckContext<'_>) -> Checked + Send + Sync;

/// A [`Factory`] whose configuration type is no longer known.
pub(crate) struct DynFactory {
    pub signature: Signature,
    pub check: Box<DynCheck>,
    pub build: Arc<dyn Build>,
}
