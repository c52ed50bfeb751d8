//! The whole machine, wired, under one clock: at each edge every unit reads what was before it.

use super::controller::{Answers, Controller, Requests};
use super::core::{Core, Surroundings};
use super::dispatcher::Dispatcher;
use super::memory::{self, Latency, Served};
use super::{Config, Error, MAX_LANES, MEMORY};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether all blocks ended.
    pub done: bool,
    /// As the original's test bench counts: snapshots, the first of which is the reset.
    pub cycles: u64,
}

/// A machine with a program, its data and its threads; reset.
#[derive(Clone, Debug)]
pub struct Machine {
    config: Config,
    latency: Latency,
    program: [u16; MEMORY],
    data: [u8; MEMORY],
    edges: u64,
    dispatcher: Dispatcher,
    cores: Vec<Core>,
    program_controller: Controller,
    data_controller: Controller,
    fetch_requests: Requests,
    /// What the controllers answered before the edge.
    fetch_answers: Answers,
    data_answers: Answers,
    /// What the lanes drive, and the register behind it.
    requests: Requests,
    requests_wire: Requests,
    /// The register in front of the lanes.
    answers_wire: Answers,
}

impl Machine {
    /// `program` and `data` from address 0 on; the rest is 0.
    ///
    /// Errors: a configuration that cannot be; too long a program, too much data.
    pub fn new(config: &Config, program: &[u16], data: &[u8], threads: usize) -> Result<Self, Error> {
        config.check()?;
        let threads = u8::try_from(threads).map_err(|_| Error::Threads { found: threads })?;
        let n_lanes = config.n_lanes();
        let (data_channels, program_channels) = match config.ideal.unlimited_channels {
            true => (n_lanes.min(MAX_LANES), config.cores),
            false => (config.data_channels, config.program_channels),
        };
        let latency = match config.ideal.zero_latency {
            true => Latency::None,
            false => Latency::Cycles(config.memory_latency_cycles),
        };
        Ok(Self {
            config: config.clone(),
            latency,
            program: filled("the program", program)?,
            data: filled("the data", data)?,
            edges: 0,
            dispatcher: Dispatcher::new(threads, config.threads_per_block),
            cores: (0..config.cores).map(|idx| Core::new(idx, config)).collect(),
            program_controller: Controller::new(program_channels, config.cores),
            data_controller: Controller::new(data_channels, n_lanes),
            fetch_requests: Requests::new(config.cores),
            fetch_answers: Answers::new(config.cores),
            data_answers: Answers::new(n_lanes),
            requests: Requests::new(n_lanes),
            requests_wire: Requests::new(n_lanes),
            answers_wire: Answers::new(n_lanes),
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Edges since the reset.
    pub fn edges(&self) -> u64 {
        self.edges
    }

    /// Whether all blocks have ended; nothing changes any more then.
    pub fn is_done(&self) -> bool {
        self.dispatcher.done
    }

    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    pub fn cores(&self) -> &[Core] {
        &self.cores
    }

    pub fn program_controller(&self) -> &Controller {
        &self.program_controller
    }

    pub fn data_controller(&self) -> &Controller {
        &self.data_controller
    }

    pub fn program(&self) -> &[u16; MEMORY] {
        &self.program
    }

    pub fn data(&self) -> &[u8; MEMORY] {
        &self.data
    }

    /// One edge; `served` is told what memory gave and took at it.
    pub fn step_with(&mut self, mut served: impl FnMut(Served)) {
        let mut core_done = 0u128;
        for (idx, core) in self.cores.iter().enumerate() {
            core_done |= u128::from(core.done) << idx;
        }
        let has_wires = !self.config.ideal.zero_latency;
        self.step_program(&mut served);
        self.step_data(has_wires, &mut served);
        let mut around = Surroundings {
            fetched: &self.fetch_answers,
            answers: if has_wires { &self.answers_wire } else { &self.data_answers },
            requests: &mut self.requests,
            program: &self.program,
            data: &self.data,
        };
        for core in &mut self.cores {
            core.step(&mut around);
        }
        if has_wires && (self.answers_wire.read | self.answers_wire.write | self.data_answers.read | self.data_answers.write) != 0
        {
            self.answers_wire.copy_from(&self.data_answers);
        }
        self.dispatcher.step(&mut self.cores, core_done);
        self.edges += 1;
    }

    /// One edge.
    pub fn step(&mut self) {
        self.step_with(|_| {});
    }

    /// Steps until all blocks have ended, but no more than `max_cycles` snapshots in all.
    pub fn run(&mut self, max_cycles: u64) -> Outcome {
        while !self.is_done() && self.cycles() < max_cycles {
            self.step();
        }
        Outcome {
            done: self.is_done(),
            cycles: self.cycles(),
        }
    }

    /// Snapshots so far, the reset included.
    pub fn cycles(&self) -> u64 {
        self.edges + 1
    }

    fn step_program(&mut self, served: &mut impl FnMut(Served)) {
        let requests = &mut self.fetch_requests;
        requests.read = 0;
        for (idx, core) in self.cores.iter().enumerate() {
            requests.read |= u128::from(core.fetcher.valid) << idx;
            requests.address[idx] = core.fetcher.address;
        }
        self.fetch_answers.copy_from(&self.program_controller.answers);
        if !self.program_controller.is_idle(requests) {
            self.program_controller.step(requests);
            memory::fetch(&self.program, &mut self.program_controller.channels, self.latency, served);
        }
    }

    fn step_data(&mut self, has_wires: bool, served: &mut impl FnMut(Served)) {
        let controller = &mut self.data_controller;
        let requests = if has_wires { &self.requests_wire } else { &self.requests };
        if controller.is_idle(requests) {
            if self.data_answers.read | self.data_answers.write != 0 {
                self.data_answers.copy_from(&controller.answers);
            }
        } else {
            self.data_answers.copy_from(&controller.answers);
            controller.step(requests);
            memory::load_and_store(&mut self.data, &mut controller.channels, self.latency, served);
        }
        let standing = self.requests.read | self.requests.write | self.requests_wire.read | self.requests_wire.write;
        if has_wires && standing != 0 {
            self.requests_wire.copy_from(&self.requests);
        }
    }
}

fn filled<T: Copy + Default>(what: &'static str, values: &[T]) -> Result<[T; MEMORY], Error> {
    let mut all = [T::default(); MEMORY];
    let room = all.get_mut(..values.len());
    let room = room.ok_or(Error::TooLong {
        what,
        found: values.len(),
    })?;
    room.copy_from_slice(values);
    Ok(all)
}
