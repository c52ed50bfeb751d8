//! A real engine and the simulated one side by side.
//!
//! [`Mixed`] plays operations below a size on the CPU twins and the others on the real engine; what both touch is kept
//! coherent, and the words are those of the real engine alone. [`Shadow`] plays all on the real engine, and keeps beside each
//! dispatch what the model says of it and what the impossible GPU would take.

mod cache_rows;
mod ledger;
mod mixed;
mod queue;
mod ranges;
mod shadow;
mod sides;
mod split;
mod step;
mod traffic;
mod wakers;

pub use ledger::{Line, ShadowHandle, Table, Times};
pub use mixed::Mixed;
pub use shadow::{Beside, Shadow};
pub use split::size_bytes;
pub use step::{Dispatched, Span, Step};
pub use traffic::{Traffic, TrafficHandle};
