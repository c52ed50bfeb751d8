//! On what a benchmark ran: stands in every report.

use gpu::engine::Adapter;
use serde::Serialize;

/// The adapter and this program.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub adapter: String,
    pub driver: String,
    pub backend: String,
    /// Draws on the CPU.
    pub software: bool,
    pub version: &'static str,
    /// The commit that this program was built from, if it was built in a repository.
    pub commit: Option<&'static str>,
    pub profile: &'static str,
}

impl Machine {
    pub fn new(adapter: &Adapter) -> Self {
        Self {
            adapter: adapter.name.clone(),
            driver: adapter.driver.clone(),
            backend: adapter.backend.clone(),
            software: adapter.software,
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("QWGLM_COMMIT"),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }

    /// One line for a table's head.
    pub fn line(&self) -> String {
        let commit = self.commit.map(|commit| format!(", {commit}")).unwrap_or_default();
        let debug = if self.profile == "debug" { ", a DEBUG build" } else { "" };
        format!(
            "{} ({}; {}); qwglm {}{commit}{debug}",
            self.adapter, self.backend, self.driver, self.version
        )
    }
}
