//! System tests: public APIs only.

mod charging;
mod choose;
mod engine;
mod generation;
mod goldens;
mod kernels;
mod recording;
mod recovery;
