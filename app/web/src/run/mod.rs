//! A configuration at work in the tab, without the tab: what stands in for devices ([`source`], [`sink`]), sound ([`devices`],
//! [`microphone`], [`speaker`]), engines and models ([`prepared`], [`kept`]), a run ([`mod@play`]) and its parts ([`parts`], [`beside`]).
//! Nothing here knows JavaScript, so all of it is tested natively.

pub mod beside;
pub mod devices;
pub mod error;
pub mod kept;
pub mod microphone;
pub mod parts;
pub mod plan;
pub mod play;
pub mod prepared;
pub mod sink;
pub mod source;
pub mod speaker;
pub mod step;
pub mod text;
pub mod voice;

pub use error::{Error, Result};
pub use play::play;
pub use prepared::{Prepared, prepare};
