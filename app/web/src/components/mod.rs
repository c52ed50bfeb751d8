//! The parts that the page is drawn of, a file each.

pub mod about;
pub mod failure;
pub mod gpus;
pub mod hub;
pub mod live;
pub mod loading;
pub mod machine;
pub mod models;
pub mod narrate;
pub mod numbers;
pub mod pipeline;
pub mod settings;
pub mod simulator;
pub mod start;
pub mod step;
pub mod talk;
pub mod transcript;

use crate::client::Client;

/// The page's client, which the app provides.
///
/// # Panics
/// Outside of the app: a bug.
pub fn client() -> Client {
    leptos::prelude::expect_context::<Client>()
}

/// `9.7 MiB`
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
