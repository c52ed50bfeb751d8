//! System tests: public APIs only.

mod engine;
mod generation;
mod goldens;
mod kernels;
mod recording;
mod recovery;
