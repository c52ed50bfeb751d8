//! System tests: public APIs only.

mod charging;
mod engine;
mod generation;
mod goldens;
mod kernels;
mod recovery;
