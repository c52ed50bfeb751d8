//! The memory outside of the chip, as the test bench has it: every read of an edge before every write, the highest channel
//! writes first, so that channel 0 wins. A request stands for two edges and is served at both.

use super::MEMORY;
use super::controller::Channel;

/// What a channel was given at an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    pub kind: Kind,
    pub channel: usize,
    pub address: u8,
    pub data: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fetch,
    Read,
    Write,
}

impl Kind {
    /// As traces write it.
    pub fn letter(self) -> char {
        match self {
            Self::Fetch => 'P',
            Self::Read => 'R',
            Self::Write => 'W',
        }
    }
}

/// When memory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Within the edge that brings the request.
    None,
    /// So many edges after a request stood on the channel; the original's is 1.
    Cycles(u32),
}

/// Answers what stood on the channels before this edge.
pub fn fetch(words: &[u16; MEMORY], channels: &mut [Channel], latency: Latency, mut served: impl FnMut(Served)) {
    for (number, channel) in channels.iter_mut().enumerate() {
        let is_valid = latency.sees(channel.was_read_valid, channel.read_valid);
        answer(channel, is_valid, latency, |address| words[usize::from(address)]);
        if channel.ready {
            served(Served {
                kind: Kind::Fetch,
                channel: number,
                address: channel.address,
                data: channel.answer,
            });
        }
    }
}

/// The same for data, which may be written.
pub fn load_and_store(bytes: &mut [u8; MEMORY], channels: &mut [Channel], latency: Latency, mut served: impl FnMut(Served)) {
    let mut has_writes = false;
    for (number, channel) in channels.iter_mut().enumerate() {
        if latency.sees(channel.was_write_valid, channel.write_valid) {
            has_writes = true;
            continue;
        }
        let is_valid = latency.sees(channel.was_read_valid, channel.read_valid);
        answer(channel, is_valid, latency, |address| u16::from(bytes[usize::from(address)]));
        if channel.ready {
            served(Served {
                kind: Kind::Read,
                channel: number,
                address: channel.address,
                data: channel.answer,
            });
        }
    }
    if !has_writes {
        return;
    }
    for (number, channel) in channels.iter_mut().enumerate().rev() {
        if !latency.sees(channel.was_write_valid, channel.write_valid) {
            continue;
        }
        answer(channel, true, latency, |_| 0);
        if channel.ready {
            bytes[usize::from(channel.address)] = channel.data;
            served(Served {
                kind: Kind::Write,
                channel: number,
                address: channel.address,
                data: channel.data.into(),
            });
        }
    }
}

impl Latency {
    fn sees(self, was_valid: bool, is_valid: bool) -> bool {
        match self {
            Self::None => is_valid,
            Self::Cycles(_) => was_valid,
        }
    }
}

fn answer(channel: &mut Channel, is_valid: bool, latency: Latency, value: impl FnOnce(u8) -> u16) {
    channel.seen = if is_valid { channel.seen + 1 } else { 0 };
    channel.ready = is_valid
        && match latency {
            Latency::None => true,
            Latency::Cycles(cycles) => channel.seen >= cycles,
        };
    channel.answer = if channel.ready { value(channel.address) } else { 0 };
}
