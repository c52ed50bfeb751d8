//! A memory controller: brings the requests of many consumers to few channels, and the answers back.
//!
//! Fixed priority and no ageing: the lowest channel takes the lowest consumer, so a consumer may starve.

/// Requests of all consumers, as the controller sees them: bit i is consumer i's.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    pub read: u128,
    pub write: u128,
    pub address: Vec<u8>,
    pub data: Vec<u8>,
}

/// Answers to all consumers.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    pub read: u128,
    pub write: u128,
    pub data: Vec<u16>,
}

impl Requests {
    pub fn new(n_consumers: usize) -> Self {
        Self {
            address: vec![0; n_consumers],
            data: vec![0; n_consumers],
            ..Self::default()
        }
    }

    /// As a register does it.
    pub fn copy_from(&mut self, other: &Self) {
        self.read = other.read;
        self.write = other.write;
        self.address.copy_from_slice(&other.address);
        self.data.copy_from_slice(&other.data);
    }
}

impl Answers {
    pub fn new(n_consumers: usize) -> Self {
        Self {
            data: vec![0; n_consumers],
            ..Self::default()
        }
    }

    pub fn copy_from(&mut self, other: &Self) {
        self.read = other.read;
        self.write = other.write;
        self.data.copy_from_slice(&other.data);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Idle,
    ReadWaiting,
    WriteWaiting,
    ReadRelaying,
    WriteRelaying,
}

/// One way to the memory. `valid` and what follows are what the memory sees; `ready` and `answer` what it answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Channel {
    pub state: State,
    /// Whose request it serves.
    pub consumer: usize,
    pub read_valid: bool,
    pub write_valid: bool,
    /// The same before the edge, which is what a memory with registers sees.
    pub was_read_valid: bool,
    pub was_write_valid: bool,
    pub address: u8,
    pub data: u8,
    pub ready: bool,
    pub answer: u16,
    /// Edges for which the memory has seen this request.
    pub seen: u32,
}

#[derive(Clone, Debug)]
pub struct Controller {
    pub channels: Vec<Channel>,
    pub answers: Answers,
    serving: u128,
    /// Channel-cycles that were not idle, and requests taken.
    pub busy: u64,
    pub taken: u64,
}

impl Controller {
    pub fn new(n_channels: usize, n_consumers: usize) -> Self {
        Self {
            channels: vec![Channel::default(); n_channels],
            answers: Answers::new(n_consumers),
            serving: 0,
            busy: 0,
            taken: 0,
        }
    }

    /// Whether nothing happens at the next edge whatever the memory says.
    pub fn is_idle(&self, requests: &Requests) -> bool {
        self.serving == 0 && requests.read | requests.write == 0
    }

    /// One edge. `serving` is seen by later channels within it.
    pub fn step(&mut self, requests: &Requests) {
        for channel in &mut self.channels {
            self.busy += u64::from(channel.state != State::Idle);
            channel.was_read_valid = channel.read_valid;
            channel.was_write_valid = channel.write_valid;
            match channel.state {
                State::Idle => {
                    let waiting = (requests.read | requests.write) & !self.serving;
                    if waiting == 0 {
                        continue;
                    }
                    let consumer = waiting.trailing_zeros() as usize;
                    self.serving |= 1 << consumer;
                    self.taken += 1;
                    channel.consumer = consumer;
                    channel.address = requests.address[consumer];
                    if requests.read >> consumer & 1 == 1 {
                        channel.read_valid = true;
                        channel.state = State::ReadWaiting;
                    } else {
                        channel.data = requests.data[consumer];
                        channel.write_valid = true;
                        channel.state = State::WriteWaiting;
                    }
                }
                State::ReadWaiting if channel.ready => {
                    channel.read_valid = false;
                    self.answers.read |= 1 << channel.consumer;
                    self.answers.data[channel.consumer] = channel.answer;
                    channel.state = State::ReadRelaying;
                }
                State::WriteWaiting if channel.ready => {
                    channel.write_valid = false;
                    self.answers.write |= 1 << channel.consumer;
                    channel.state = State::WriteRelaying;
                }
                State::ReadRelaying if requests.read >> channel.consumer & 1 == 0 => {
                    self.answers.read &= !(1 << channel.consumer);
                    self.serving &= !(1 << channel.consumer);
                    channel.state = State::Idle;
                }
                State::WriteRelaying if requests.write >> channel.consumer & 1 == 0 => {
                    self.answers.write &= !(1 << channel.consumer);
                    self.serving &= !(1 << channel.consumer);
                    channel.state = State::Idle;
                }
                _ => {}
            }
        }
    }
}
