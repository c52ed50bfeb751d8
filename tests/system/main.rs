//! System tests: public APIs only.

mod generation;
mod kernels;
