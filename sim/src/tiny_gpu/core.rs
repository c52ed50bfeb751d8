//! A core: one block at a time, its lanes in step. Scheduler, fetcher, decoder and lanes, each moved once an edge.

use super::controller::{Answers, Requests};
use super::decoder::Decoded;
use super::fetcher::{self, Fetcher};
use super::isa::BLOCK_IDX;
use super::lane::Lane;
use super::lsu;
use super::{Config, MEMORY};

/// The scheduler's; as traces number them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    #[default]
    Idle,
    Fetch,
    Decode,
    Request,
    Wait,
    Execute,
    Update,
    Done,
}

impl State {
    pub const ALL: [State; 8] = [
        State::Idle,
        State::Fetch,
        State::Decode,
        State::Request,
        State::Wait,
        State::Execute,
        State::Update,
        State::Done,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Fetch => "fetch",
            Self::Decode => "decode",
            Self::Request => "request",
            Self::Wait => "wait",
            Self::Execute => "execute",
            Self::Update => "update",
            Self::Done => "done",
        }
    }
}

/// Lines of a cache, direct-mapped, one entry each. It keeps no data: a hit reads the memory as it is.
type Lines = [Option<u8>; 16];

/// What a core sees and drives at an edge; everything it reads is from before the edge.
pub struct Surroundings<'a> {
    pub fetched: &'a Answers,
    pub answers: &'a Answers,
    /// The lanes' side of the wires to the data controller.
    pub requests: &'a mut Requests,
    pub program: &'a [u16; MEMORY],
    pub data: &'a [u8; MEMORY],
}

#[derive(Clone, Debug)]
pub struct Core {
    idx: usize,
    config: Config,
    /// Driven by the dispatcher.
    pub reset: bool,
    pub start: bool,
    pub block: u8,
    pub threads: usize,
    pub done: bool,
    pub state: State,
    pub pc: u8,
    pub fetcher: Fetcher,
    pub decoded: Decoded,
    pub lanes: Vec<Lane>,
    instruction_lines: Lines,
    data_lines: Lines,
    /// Cycles in each state, and instructions finished.
    pub cycles: [u64; 8],
    pub instructions: u64,
    /// Lane-cycles with a request under way.
    pub lsu_busy: u64,
}

impl Core {
    pub fn new(idx: usize, config: &Config) -> Self {
        Self {
            idx,
            config: config.clone(),
            reset: true,
            start: false,
            block: 0,
            threads: config.threads_per_block,
            done: false,
            state: State::Idle,
            pc: 0,
            fetcher: Fetcher::default(),
            decoded: Decoded::default(),
            lanes: lanes(config.threads_per_block),
            instruction_lines: Lines::default(),
            data_lines: Lines::default(),
            cycles: [0; 8],
            instructions: 0,
            lsu_busy: 0,
        }
    }

    /// One edge.
    pub fn step(&mut self, around: &mut Surroundings<'_>) {
        self.cycles[self.state as usize] += 1;
        if self.reset {
            return self.clear();
        }
        // R13 follows the block's number an edge later.
        let block_idx = usize::from(BLOCK_IDX);
        if self.lanes[0].registers[block_idx] != self.block {
            let active = self.lanes.iter_mut().take(self.threads);
            active.for_each(|lane| lane.registers[block_idx] = self.block);
        }
        let state = self.state;
        let is_fetched = self.fetcher.state == fetcher::State::Fetched && self.fetcher.address == self.pc;
        self.step_fetcher(state, around);
        match state {
            State::Idle if self.start => {
                self.state = State::Fetch;
                if self.config.features.divergence {
                    self.choose_lanes();
                }
            }
            State::Fetch if is_fetched => self.state = State::Decode,
            State::Decode => {
                self.decoded = Decoded::from_word(self.fetcher.instruction);
                self.state = State::Request;
            }
            State::Request => {
                let uses_memory = self.decoded.is_load || self.decoded.is_store;
                for lane in self.lanes.iter_mut().take(self.threads).filter(|lane| !lane.is_waiting) {
                    lane.read(&self.decoded);
                    if uses_memory {
                        lane.lsu.state = lsu::State::Requesting;
                    }
                }
                self.state = State::Wait;
            }
            State::Wait => {
                let is_busy = (self.decoded.is_load || self.decoded.is_store) && self.step_lsus(around);
                if !is_busy {
                    self.state = State::Execute;
                }
            }
            State::Execute => {
                let pc = self.pc;
                for lane in self.lanes.iter_mut().take(self.threads).filter(|lane| !lane.is_waiting) {
                    lane.execute(&self.decoded, pc);
                }
                self.state = State::Update;
            }
            State::Update => self.update(),
            _ => {}
        }
    }

    /// The edge of a core that is held in reset.
    fn clear(&mut self) {
        self.state = State::Idle;
        self.pc = 0;
        self.done = false;
        self.fetcher = Fetcher::default();
        self.decoded = Decoded::default();
        for (idx, lane) in self.lanes.iter_mut().enumerate() {
            *lane = Lane::new(self.config.threads_per_block, idx);
        }
    }

    fn step_fetcher(&mut self, state: State, around: &Surroundings<'_>) {
        let features = self.config.features;
        match self.fetcher.state {
            fetcher::State::Idle => {
                // While an instruction is executed, the one after it may be fetched.
                let ahead = features.pipelined_fetch
                    && matches!(state, State::Request | State::Wait | State::Execute)
                    && !self.decoded.is_return;
                if state == State::Fetch {
                    self.fetch(self.pc, around);
                } else if ahead {
                    self.fetch(self.pc.wrapping_add(1), around);
                }
            }
            fetcher::State::Fetching => {
                if around.fetched.read >> self.idx & 1 == 1 {
                    let address = self.fetcher.address;
                    self.instruction_lines[usize::from(address % 16)] = Some(address);
                    self.fetcher.take(around.fetched.data[self.idx]);
                }
            }
            fetcher::State::Fetched => {
                if state == State::Decode {
                    self.fetcher.state = fetcher::State::Idle;
                } else if state == State::Fetch && self.fetcher.address != self.pc {
                    // Fetched ahead, and then the program went elsewhere.
                    self.fetch(self.pc, around);
                }
            }
        }
    }

    fn fetch(&mut self, pc: u8, around: &Surroundings<'_>) {
        let has_line = self.config.features.instruction_cache && self.instruction_lines[usize::from(pc % 16)] == Some(pc);
        self.fetcher.request(pc);
        if has_line || self.config.ideal.perfect_cache {
            self.fetcher.take(around.program[usize::from(pc)]);
        }
    }

    /// The lanes' ways to memory, in WAIT; whether any was busy before the edge.
    fn step_lsus(&mut self, around: &mut Surroundings<'_>) -> bool {
        let mut was_busy = false;
        for idx in 0..self.threads {
            if self.lanes[idx].is_waiting || !self.lanes[idx].lsu.is_busy() {
                continue;
            }
            was_busy = true;
            self.lsu_busy += 1;
            let consumer = self.idx * self.config.threads_per_block + idx;
            match self.lanes[idx].lsu.state {
                lsu::State::Requesting => self.request(idx, consumer, around),
                _ => self.await_answer(idx, consumer, around),
            }
        }
        was_busy
    }

    fn request(&mut self, idx: usize, consumer: usize, around: &mut Surroundings<'_>) {
        let lane = &self.lanes[idx];
        let (address, value) = (lane.rs, lane.rt);
        let bit = 1 << consumer;
        if self.decoded.is_store {
            around.requests.write |= bit;
            around.requests.address[consumer] = address;
            around.requests.data[consumer] = value;
            self.lanes[idx].lsu.state = lsu::State::Waiting;
            return;
        }
        let has_line = self.config.features.data_cache && self.data_lines[usize::from(address % 16)] == Some(address);
        if has_line || self.config.ideal.perfect_cache {
            return self.lanes[idx].lsu.finish(around.data[usize::from(address)]);
        }
        let leader = self.config.features.coalescing.then(|| {
            let earlier = self.lanes[..idx].iter();
            earlier
                .enumerate()
                .position(|(_, other)| !other.is_waiting && other.lsu.leader.is_none() && other.rs == address)
        });
        let leader = leader.flatten().map(|leader| leader as u8);
        self.lanes[idx].lsu.leader = leader;
        self.lanes[idx].lsu.state = lsu::State::Waiting;
        if leader.is_none() {
            around.requests.read |= bit;
            around.requests.address[consumer] = address;
        }
    }

    fn await_answer(&mut self, idx: usize, consumer: usize, around: &mut Surroundings<'_>) {
        if let Some(leader) = self.lanes[idx].lsu.leader {
            let leader = self.lanes[usize::from(leader)].lsu;
            if leader.state == lsu::State::Done {
                self.lanes[idx].lsu.finish(leader.result);
            }
            return;
        }
        let bit = 1 << consumer;
        if self.decoded.is_load && around.answers.read & bit != 0 {
            around.requests.read &= !bit;
            let address = self.lanes[idx].rs;
            self.data_lines[usize::from(address % 16)] = Some(address);
            self.lanes[idx].lsu.finish(around.answers.data[consumer] as u8);
        } else if self.decoded.is_store && around.answers.write & bit != 0 {
            around.requests.write &= !bit;
            let lsu = &mut self.lanes[idx].lsu;
            lsu.state = lsu::State::Done;
        }
    }

    fn update(&mut self) {
        self.instructions += 1;
        for lane in self.lanes.iter_mut().take(self.threads).filter(|lane| !lane.is_waiting) {
            lane.update(&self.decoded);
            lane.lsu.state = lsu::State::Idle;
            lane.lsu.leader = None;
        }
        let mut is_over = self.decoded.is_return;
        if self.config.features.divergence {
            for lane in self.lanes.iter_mut().take(self.threads).filter(|lane| !lane.is_waiting) {
                lane.is_finished = self.decoded.is_return;
                lane.pc = lane.next_pc;
            }
            is_over = !self.choose_lanes();
        } else if !is_over {
            let leader = match self.config.features.pc_from_first_lane {
                true => 0,
                false => self.lanes.len() - 1,
            };
            self.pc = self.lanes[leader].next_pc;
        }
        if is_over {
            self.done = true;
            self.state = State::Done;
        } else {
            self.state = State::Fetch;
        }
    }

    /// With divergence: the lanes at the lowest program counter go on. Whether any is left.
    fn choose_lanes(&mut self) -> bool {
        let active = || self.lanes.iter().take(self.threads).filter(|lane| !lane.is_finished);
        let Some(pc) = active().map(|lane| lane.pc).min() else {
            return false;
        };
        self.pc = pc;
        for lane in self.lanes.iter_mut().take(self.threads) {
            lane.is_waiting = lane.is_finished || lane.pc != pc;
        }
        true
    }
}

fn lanes(threads_per_block: usize) -> Vec<Lane> {
    (0..threads_per_block).map(|idx| Lane::new(threads_per_block, idx)).collect()
}
