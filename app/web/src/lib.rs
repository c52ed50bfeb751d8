//! QWGLM in the tab: what the page (`main.rs`) and the worker that runs the pipeline (`engine/`) share, and what of both needs
//! no browser.

pub mod protocol;
pub mod run;
pub mod session;
pub mod simulator;
pub mod timeline;
