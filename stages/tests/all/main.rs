//! Tests of `stages` through its public API: goldens of the reference implementation, and stages in graphs.

mod capture;
mod common;
mod configs;
mod golden_tokens;
mod golden_vision;
mod narrate;
