//! What a stage is ([`Stage`]) and what it sees of the run ([`Context`]). Not how it is started (`runtime.rs`).

mod context;
mod input;
mod life;
mod probe;

pub use context::{Context, Stamp};
pub(crate) use context::{ContextParts, OutputLink, StageMeter};
pub use input::Input;
pub(crate) use input::{InputLink, Links};
pub(crate) use life::{Keep, Life};
pub use probe::{Moment, Probe};

use std::future::Future;

use crate::error::StageError;
use crate::spawn::{BoxFuture, MaybeSend};

/// An actor of a graph. It owns its state, reads packets from `ctx`, sends packets to `ctx`.
///
/// It ends when its inputs have ended (`ctx.recv()` gives `None`), when nobody reads its output (`ctx.send(…)` gives
/// [`crate::error::Closed`], which `?` passes on as a good end) or, if it is a source, when the run stops (`ctx.stopping()`).
/// Its outputs close when it has ended, unless its `restart` has it built anew: then they stay open, and only its state is lost.
///
/// ```
/// use pipeline::actor::{Context, Stage};
/// use pipeline::error::StageError;
///
/// struct Echo;
///
/// impl Stage for Echo {
///     async fn run(self, ctx: Context) -> Result<(), StageError> {
///         while let Some(packet) = ctx.recv().await {
///             let stamp = packet.stamp();
///             ctx.send(packet.body, stamp).await?;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Stage: MaybeSend + 'static {
    fn run(self, ctx: Context) -> impl Future<Output = Result<(), StageError>> + MaybeSend;
}

/// A [`Stage`] behind a pointer, as the registry makes them.
pub trait DynStage: MaybeSend {
    fn run_boxed(self: Box<Self>, ctx: Context) -> BoxFuture<'static, Result<(), StageError>>;
}

impl<S: Stage> DynStage for S {
    fn run_boxed(self: Box<Self>, ctx: Context) -> BoxFuture<'static, Result<(), StageError>> {
        Box::pin(Stage::run(*self, ctx))
    }
}

pub type BoxStage = Box<dyn DynStage>;
