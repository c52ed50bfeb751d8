//! A recorded run: what its sources sent, in which order its stages took packets, and whatever other crates add (crate `gpu`:
//! an engine's replies). The file's layout is `docs/recording.md`. Not what an engine says: that is its own crate's.
//!
//! A [`Recorder`] writes while a run goes on; [`Tape`] reads what it wrote; a [`Script`] of it makes another run take the same
//! packets in the same order, whatever that takes of time.

mod bytes;
mod container;
mod order;
mod packet;
mod picture;
mod recorder;
mod source;
mod tape;

pub use bytes::{In, Out, fingerprint};
pub use container::{Chunk, MAX_CHUNK_BYTES, TapeEnd, TapeWriter, VERSION, chunks_from_bytes};
pub(crate) use order::{Ears, Next, Orders};
pub use order::{Follow, Script};
pub use packet::{body_from_bytes, body_to_bytes, packet_from_bytes, packet_to_bytes};
pub use picture::PictureCoder;
pub use recorder::Recorder;
pub(crate) use recorder::SourceTape;
pub use source::{REPLAY_TYPE, register_replay};
pub use tape::{SourceEnd, Start, Tape};

/// What a chunk is. Kinds that a reader does not know are passed over, so that later versions may add some.
pub mod kind {
    /// [`super::Start`]: the program, the configuration.
    pub const START: u8 = 1;
    /// The names of the graph's stages and links, which the others number.
    pub const GRAPH: u8 = 2;
    /// A source sent a packet.
    pub const SENT: u8 = 3;
    /// A stage took a packet from a link.
    pub const TOOK: u8 = 4;
    /// A source ended.
    pub const SOURCE_END: u8 = 5;
    /// The next turn began.
    pub const TURN: u8 = 6;
    /// The run ended: nothing follows.
    pub const END: u8 = 15;
    /// From here on kinds belong to crate `gpu`.
    pub const FIRST_OF_ENGINES: u8 = 16;
}

#[cfg(test)]
mod tests;
