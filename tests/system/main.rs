//! System tests: public APIs only.

mod charging;
mod choose;
mod conversation;
mod engine;
mod faults;
mod generation;
mod goldens;
mod goldens_parakeet;
mod hybrid;
mod kernels;
mod lost_in_narration;
mod packed_ears;
mod packed_voice;
mod pocket_asr;
mod recording;
mod recovery;
mod transcribe;
