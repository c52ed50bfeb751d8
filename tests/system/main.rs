//! System tests: public APIs only.

mod generation;
mod goldens;
mod kernels;
