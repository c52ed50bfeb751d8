//! How long a plan takes on a device that is not here.
//!
//! A kernel counts its bytes and operations (`gpu::kernel::cost`); a [`Profile`] says what a device has; [`Device`] brings the
//! two together, dispatch by dispatch. [`mod@fit`] finds from measurements how much of its peaks kernels reach. [`dry`] makes the
//! plans of a model from its configuration alone, [`predict`] reads from them what a person asks, and [`impossible`] asks what
//! would be left if a device had no memory to wait for.
//! No numbers of a model are computed here.

pub mod bundled;
mod device;
pub mod dry;
pub mod fit;
pub mod impossible;
pub mod predict;
mod profile;

pub use device::{Bound, Device, Taken};
pub use profile::{Cache, Cores, Kind, Launch, Limits, Load, Memory, Profile, Rates, Share, class_name};
