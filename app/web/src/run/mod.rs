//! A configuration at work in the tab, without the tab: what stands in for devices ([`source`], [`sink`]), engines and models
//! ([`prepared`]), a run ([`play`]). Nothing here knows JavaScript, so all of it is tested natively.

pub mod error;
pub mod plan;
pub mod play;
pub mod prepared;
pub mod sink;
pub mod source;
pub mod step;
pub mod text;
pub mod voice;

pub use error::{Error, Result};
pub use play::play;
pub use prepared::{Prepared, prepare};
