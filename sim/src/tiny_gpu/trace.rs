//! What happened, cycle by cycle: states as strings of digits, everything else as changes. The layout is that of the
//! reference's golden traces, so a trace is compared with one by comparing JSON.

use serde::Serialize;

use super::Machine;
use super::core::Core;
use super::memory::Served;

/// A value since a cycle.
pub type Change = (u64, u64);
/// Cycle, kind (P fetch, R load, W store), channel, address, data.
pub type Access = (u64, char, usize, u8, u16);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub blocks_dispatched: Vec<Change>,
    pub blocks_done: Vec<Change>,
    pub memory: Vec<Access>,
    pub cores: Vec<CoreTrace>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CoreTrace {
    /// Character c is the state in snapshot c.
    pub state: String,
    pub fetcher: String,
    /// One a lane.
    pub lsu: Vec<String>,
    pub pc: Vec<Change>,
    pub instruction: Vec<Change>,
    pub block: Vec<Change>,
    pub threads: Vec<Change>,
    pub start: Vec<Change>,
    pub reset: Vec<Change>,
    /// Cycle, lane, bits.
    pub nzp: Vec<(u64, usize, u8)>,
    /// Cycle, lane, register, value.
    pub regs: Vec<(u64, usize, usize, u8)>,
}

/// Runs a machine and writes down what it does.
pub struct Recorder {
    trace: Trace,
    last: Vec<LastCore>,
    last_blocks: (u64, u64),
}

/// What a core's lists stand at.
struct LastCore {
    pc: u64,
    instruction: u64,
    block: u64,
    threads: u64,
    start: u64,
    reset: u64,
    nzp: Vec<u8>,
    registers: Vec<[u8; 16]>,
}

impl Recorder {
    /// Of a machine that has not been stepped yet.
    pub fn new(machine: &Machine) -> Self {
        let n_lanes = machine.config().threads_per_block;
        let mut recorder = Self {
            trace: Trace {
                cores: vec![
                    CoreTrace {
                        lsu: vec![String::new(); n_lanes],
                        ..CoreTrace::default()
                    };
                    machine.cores().len()
                ],
                ..Trace::default()
            },
            last: machine.cores().iter().map(|core| LastCore::of_reset(core, n_lanes)).collect(),
            last_blocks: (0, 0),
        };
        recorder.snapshot(machine);
        recorder
    }

    /// Steps the machine once and notes the snapshot after it.
    pub fn step(&mut self, machine: &mut Machine) {
        let cycle = machine.edges() + 1;
        let memory = &mut self.trace.memory;
        machine.step_with(|served: Served| {
            memory.push((cycle, served.kind.letter(), served.channel, served.address, served.data));
        });
        self.snapshot(machine);
    }

    /// Steps until all blocks have ended, but no more than `max_cycles` snapshots in all.
    pub fn run(mut self, machine: &mut Machine, max_cycles: u64) -> Trace {
        while !machine.is_done() && machine.cycles() < max_cycles {
            self.step(machine);
        }
        self.trace
    }

    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    fn snapshot(&mut self, machine: &Machine) {
        let cycle = machine.edges();
        let dispatcher = machine.dispatcher();
        let blocks = (dispatcher.blocks_dispatched as u64, dispatcher.blocks_done as u64);
        note(&mut self.trace.blocks_dispatched, &mut self.last_blocks.0, cycle, blocks.0);
        note(&mut self.trace.blocks_done, &mut self.last_blocks.1, cycle, blocks.1);
        for ((core, trace), last) in machine.cores().iter().zip(&mut self.trace.cores).zip(&mut self.last) {
            trace.state.push(digit(core.state as u8));
            trace.fetcher.push(digit(core.fetcher.state as u8));
            note(&mut trace.pc, &mut last.pc, cycle, core.pc.into());
            note(
                &mut trace.instruction,
                &mut last.instruction,
                cycle,
                core.fetcher.instruction.into(),
            );
            note(&mut trace.block, &mut last.block, cycle, core.block.into());
            note(&mut trace.threads, &mut last.threads, cycle, core.threads as u64);
            note(&mut trace.start, &mut last.start, cycle, core.start.into());
            note(&mut trace.reset, &mut last.reset, cycle, core.reset.into());
            for (idx, lane) in core.lanes.iter().enumerate() {
                trace.lsu[idx].push(digit(lane.lsu.state as u8));
                if last.nzp[idx] != lane.nzp {
                    last.nzp[idx] = lane.nzp;
                    trace.nzp.push((cycle, idx, lane.nzp));
                }
                for (register, (&value, last)) in lane.registers.iter().zip(&mut last.registers[idx]).enumerate() {
                    if value != *last {
                        *last = value;
                        trace.regs.push((cycle, idx, register, value));
                    }
                }
            }
        }
    }
}

impl LastCore {
    fn of_reset(core: &Core, n_lanes: usize) -> Self {
        Self {
            pc: 0,
            instruction: 0,
            block: 0,
            threads: n_lanes as u64,
            start: 0,
            reset: 1,
            nzp: vec![0; n_lanes],
            registers: core.lanes.iter().map(|lane| lane.registers).collect(),
        }
    }
}

fn note(changes: &mut Vec<Change>, last: &mut u64, cycle: u64, value: u64) {
    if *last != value {
        *last = value;
        changes.push((cycle, value));
    }
}

fn digit(number: u8) -> char {
    char::from(b'0' + number)
}
