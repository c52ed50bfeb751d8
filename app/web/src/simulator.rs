//! A tiny-gpu on the bench: a program, its machine, and what the page shows of both at each cycle. Plain Rust with no view in it.

use sim::tiny_gpu::assembler::{Program, assemble};
use sim::tiny_gpu::ideal::{Job, Worth, worth};
use sim::tiny_gpu::{Channel, Config, Machine};

/// Cycles after which a program counts as endless.
pub const MAX_CYCLES: u64 = 100_000;
/// Threads of a program that does not say how many it wants.
const THREADS: usize = 8;
/// By how much the heat of a memory cell falls a cycle.
const COOLING: f32 = 0.92;

/// A machine at some cycle of a program.
#[derive(Clone, Debug)]
pub struct Bench {
    config: Config,
    program: Program,
    machine: Machine,
    /// How lately each cell of data memory was touched: 1 now, towards 0.
    heat: Vec<f32>,
    /// The same of each word of the program.
    fetched: Vec<f32>,
}

/// A core at a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreView {
    /// The block that it works on, if it does.
    pub block: Option<u8>,
    pub state: &'static str,
    pub pc: u8,
    /// The line of the text that it is at, from 1.
    pub line: Option<usize>,
    pub lanes: Vec<LaneView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LaneView {
    pub thread: usize,
    pub registers: [u8; 16],
    /// It waits for memory.
    pub waits: bool,
    /// The block has so many threads, and this is one.
    pub is_used: bool,
}

/// A way to memory at a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelView {
    /// `None`: idle.
    pub address: Option<u8>,
    pub is_write: bool,
    /// Whose request it is: a core, and its lane where lanes ask.
    pub core: usize,
    pub lane: Option<usize>,
}

impl ChannelView {
    /// `reads 17 for core 1, lane 0`
    pub fn words(&self) -> String {
        let Some(address) = self.address else {
            return "idle".to_owned();
        };
        let verb = if self.is_write { "writes" } else { "reads" };
        let lane = self.lane.map_or(String::new(), |lane| format!(", lane {lane}"));
        format!("{verb} {address} for core {}{lane}", self.core)
    }
}

impl Bench {
    /// Assembles a text and puts it on a machine, reset.
    ///
    /// Errors: every fault of the text, a line each; a machine that cannot be.
    pub fn new(text: &str, config: &Config) -> Result<Self, Vec<String>> {
        let program = assemble(text).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let machine = Machine::new(config, &program.words, &program.data, program.threads.unwrap_or(THREADS))
            .map_err(|error| vec![error.to_string()])?;
        Ok(Self {
            config: config.clone(),
            heat: vec![0.0; machine.data().len()],
            fetched: vec![0.0; machine.program().len()],
            program,
            machine,
        })
    }

    /// So many cycles on, or to the end.
    pub fn step(&mut self, n_cycles: u64) {
        for _ in 0..n_cycles {
            if self.is_over() {
                return;
            }
            let (heat, fetched) = (&mut self.heat, &mut self.fetched);
            for cell in heat.iter_mut().chain(fetched.iter_mut()) {
                *cell *= COOLING;
            }
            self.machine.step_with(|served| {
                let cells = match served.kind.letter() {
                    'P' => &mut *fetched,
                    _ => &mut *heat,
                };
                cells[usize::from(served.address)] = 1.0;
            });
        }
    }

    /// Ended, or taken for endless.
    pub fn is_over(&self) -> bool {
        self.is_done() || self.machine.cycles() >= MAX_CYCLES
    }

    pub fn is_done(&self) -> bool {
        self.machine.is_done()
    }

    pub fn cycles(&self) -> u64 {
        self.machine.cycles()
    }

    pub fn blocks_done(&self) -> usize {
        self.machine.dispatcher().blocks_done
    }

    pub fn data(&self) -> &[u8] {
        self.machine.data()
    }

    pub fn heat(&self) -> &[f32] {
        &self.heat
    }

    /// The line of the text that a word stands on.
    fn line(&self, pc: u8) -> Option<usize> {
        self.program.lines.get(usize::from(pc)).copied()
    }

    pub fn cores(&self) -> Vec<CoreView> {
        let cores = self.machine.cores().iter().map(|core| {
            let lanes = core.lanes.iter().enumerate().map(|(thread, lane)| LaneView {
                thread,
                registers: lane.registers,
                waits: lane.lsu.is_busy(),
                is_used: thread < core.threads,
            });
            CoreView {
                block: (core.start && !core.done).then_some(core.block),
                state: core.state.name(),
                pc: core.pc,
                line: self.line(core.pc),
                lanes: lanes.collect(),
            }
        });
        cores.collect()
    }

    /// Ways to data memory, which lanes share.
    pub fn channels(&self) -> Vec<ChannelView> {
        let n_lanes = self.config.threads_per_block;
        let channels = self.machine.data_controller().channels.iter();
        let view = |channel: &_| view(channel, |consumer| (consumer / n_lanes, Some(consumer % n_lanes)));
        channels.map(view).collect()
    }

    /// Ways to the program, which cores share.
    pub fn program_channels(&self) -> Vec<ChannelView> {
        let channels = self.machine.program_controller().channels.iter();
        channels.map(|channel| view(channel, |consumer| (consumer, None))).collect()
    }

    /// What each idealisation is worth for this program.
    pub fn worth(&self) -> Vec<Worth> {
        let job = Job {
            program: &self.program.words,
            data: &self.program.data,
            threads: self.program.threads.unwrap_or(THREADS),
            max_cycles: MAX_CYCLES,
        };
        // The same machine was made before: it can be.
        worth(&self.config, job).unwrap_or_default()
    }

    /// Where it is known why.
    fn why_endless(&self) -> String {
        let threads = self.program.threads.unwrap_or(THREADS);
        self.config.endless_block(threads).map_or(String::new(), |left| {
            let dim = self.config.threads_per_block;
            format!(
                " {threads} threads leave a block of {left}, and one of fewer than {dim} never ends without branch divergence."
            )
        })
    }

    /// The state in words, for who does not see the picture.
    pub fn told(&self) -> String {
        let mut text = match (self.is_done(), self.is_over()) {
            (true, _) => format!("Done after {} cycles.", self.cycles()),
            (_, true) => format!(
                "Not done after {} cycles: taken for endless.{}",
                self.cycles(),
                self.why_endless()
            ),
            _ => format!("Cycle {}, {} blocks done.", self.cycles(), self.blocks_done()),
        };
        for (index, core) in self.cores().iter().enumerate() {
            let at = core.line.map_or(String::new(), |line| format!(" at line {line}"));
            let waits = core.lanes.iter().filter(|lane| lane.waits).count();
            let waits = if waits > 0 {
                format!(", {waits} threads wait for memory")
            } else {
                String::new()
            };
            match core.block {
                Some(block) => text.push_str(&format!(" Core {index}: block {block}, {}{at}{waits}.", core.state)),
                None => text.push_str(&format!(" Core {index}: idle.")),
            }
        }
        text
    }
}

fn view(channel: &Channel, whose: impl Fn(usize) -> (usize, Option<usize>)) -> ChannelView {
    let (core, lane) = whose(channel.consumer);
    ChannelView {
        address: (channel.read_valid || channel.write_valid).then_some(channel.address),
        is_write: channel.write_valid,
        core,
        lane,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::tiny_gpu::programs;

    #[test]
    fn stepping_ends_at_the_known_cycle_with_the_result_in_memory() {
        let text = programs::text("matadd").unwrap();
        let mut bench = Bench::new(text, &Config::default()).unwrap();
        bench.step(40);
        assert!(bench.told().starts_with("Cycle 41"), "{}", bench.told());
        let cores = bench.cores();
        assert_eq!(cores.len(), 2);
        let line = cores[0].line.unwrap();
        assert!(
            text.lines().nth(line - 1).is_some_and(|line| line.starts_with("        ")),
            "an instruction's line"
        );
        while !bench.is_over() {
            bench.step(7);
        }
        assert_eq!((bench.is_done(), bench.cycles()), (true, 178));
        assert_eq!(bench.data()[16..24], [0, 2, 4, 6, 8, 10, 12, 14]);
        assert!(bench.heat()[23] > 0.0 && bench.heat()[200] == 0.0);
        let worth = bench.worth();
        assert_eq!(worth[0].cycles, Some(178));
        assert!(worth.iter().skip(1).all(|row| row.same_result));
    }

    #[test]
    fn faults_and_endless_programs_are_told() {
        let faults = Bench::new("ADD R0, R1\nHALT", &Config::default()).unwrap_err();
        assert!(faults.len() == 2 && faults[0].starts_with("line 1"), "{faults:?}");
        let mut endless = Bench::new(".threads 1\nagain: CMP R0, R0\nBRz again\nRET", &Config::default()).unwrap();
        endless.step(MAX_CYCLES + 10);
        assert!(
            endless.told().contains("endless. 1 threads leave a block of 1"),
            "{}",
            endless.told()
        );
    }

    #[test]
    fn channels_say_whom_they_serve() {
        let mut bench = Bench::new(programs::text("matadd").unwrap(), &Config::default()).unwrap();
        let (mut fetches, mut loads) = (Vec::new(), Vec::new());
        while !bench.is_over() {
            bench.step(1);
            let busy = |channel: &ChannelView| channel.address.is_some();
            fetches.extend(bench.program_channels().into_iter().filter(busy));
            loads.extend(bench.channels().into_iter().filter(busy));
        }
        assert!(fetches.iter().any(|channel| channel.core == 1) && fetches.iter().all(|channel| channel.lane.is_none()));
        assert_eq!(fetches[0].words(), "reads 0 for core 0");
        assert!(
            loads.iter().any(|channel| channel.words() == "writes 16 for core 0, lane 0"),
            "{loads:?}"
        );
        assert!(loads.iter().any(|channel| (channel.core, channel.lane) == (1, Some(3))));
        let beyond = Config {
            cores: 64,
            ..Config::default()
        };
        let refused = Bench::new(programs::text("matadd").unwrap(), &beyond).unwrap_err();
        assert!(refused[0].contains("threads_per_block is 4; 1 to 2"), "{refused:?}");
    }
}
