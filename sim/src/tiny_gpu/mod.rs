//! tiny-gpu, cycle by cycle: a small GPU whose every register can be looked at, and what it gains from each idealisation.
//!
//! [`Machine`] holds the units of the hardware as structs that one clock steps; [`isa`] and [`assembler`] its programs;
//! [`trace`] what happened. With [`Config::default`] it does what adam-maj/tiny-gpu does at commit 02b6c2c, its quirks
//! included; [`Features`] adds what its author left as next steps, and [`Ideal`] what no hardware has.
//! Written from a description of the behaviour, not from the SystemVerilog.

pub mod assembler;
mod controller;
mod core;
mod decoder;
mod dispatcher;
mod fetcher;
pub mod ideal;
pub mod interpreter;
pub mod isa;
mod lane;
mod lsu;
mod machine;
mod memory;
pub mod perfetto;
pub mod programs;
pub mod report;
#[cfg(test)]
mod tests;
pub mod trace;

pub use self::core::State as SchedulerState;
pub use controller::Channel;
pub use fetcher::State as FetcherState;
pub use lsu::State as LsuState;
pub use machine::{Machine, Outcome};

/// Bytes of data memory, and words of program memory.
pub const MEMORY: usize = 256;
/// Lanes in all, and channels: consumers of a controller are counted in a mask of this many bits.
pub const MAX_LANES: usize = 128;

/// How large the machine is, and what it has beyond the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Blocks in flight.
    pub cores: usize,
    /// Lanes of a core; the value of %blockDim, even in a partial block.
    pub threads_per_block: usize,
    /// Requests in flight to data memory.
    pub data_channels: usize,
    /// Requests in flight to program memory.
    pub program_channels: usize,
    /// Edges from a request at the memory to its answer; the original's is 1.
    pub memory_latency_cycles: u32,
    pub features: Features,
    pub ideal: Ideal,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cores: 2,
            threads_per_block: 4,
            data_channels: 4,
            program_channels: 1,
            memory_latency_cycles: 1,
            features: Features::default(),
            ideal: Ideal::default(),
        }
    }
}

/// What tiny-gpu's author left as next steps; all off in the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// 16 words a core, direct-mapped: a hit is fetched in one cycle.
    pub instruction_cache: bool,
    /// 16 bytes a core, direct-mapped, write-through, coherent: a load that hits is answered in one cycle.
    pub data_cache: bool,
    /// Lanes of a core that load from one address share one request.
    pub coalescing: bool,
    /// The next instruction is fetched while this one is executed.
    pub pipelined_fetch: bool,
    /// Each lane has a program counter; the lanes at the lowest one run, the others wait. Partial blocks end.
    pub divergence: bool,
    /// The block follows lane 0 instead of the last one; with full blocks it makes no difference.
    pub pc_from_first_lane: bool,
}

/// What no hardware has; all off in the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ideal {
    /// Every fetch and every load hits, the first included.
    pub perfect_cache: bool,
    /// Memory answers within the edge, and no wire has a register.
    pub zero_latency: bool,
    /// As many channels as there are consumers.
    pub unlimited_channels: bool,
}

impl Config {
    /// Holds the numbers to what the machine can be.
    ///
    /// Errors: [`Error::Config`], naming the key and its range.
    pub fn check(&self) -> Result<(), Error> {
        let within = |key, found: usize, low: usize, high: usize| match (low..=high).contains(&found) {
            true => Ok(()),
            false => Err(Error::Config { key, found, low, high }),
        };
        within("cores", self.cores, 1, MAX_LANES)?;
        within("threads_per_block", self.threads_per_block, 1, MAX_LANES / self.cores)?;
        within("data_channels", self.data_channels, 1, MAX_LANES)?;
        within("program_channels", self.program_channels, 1, MAX_LANES)?;
        within("memory_latency_cycles", self.memory_latency_cycles as usize, 1, 1_000_000)
    }

    /// Threads of a last block that never ends, as in the original: it has fewer than a core has lanes, and nothing is done about it.
    pub fn endless_block(&self, threads: usize) -> Option<usize> {
        let left = threads % self.threads_per_block.max(1);
        (left > 0 && !self.features.divergence && !self.features.pc_from_first_lane).then_some(left)
    }

    /// Lanes of all cores.
    pub fn n_lanes(&self) -> usize {
        self.cores * self.threads_per_block
    }
}

/// What a machine cannot be, or be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{key} is {found}; {low} to {high} are possible here (at most {MAX_LANES} lanes in all)")]
    Config {
        key: &'static str,
        found: usize,
        low: usize,
        high: usize,
    },
    #[error("{what} has {found} entries; there is room for {MEMORY}")]
    TooLong { what: &'static str, found: usize },
    #[error("{found} threads; the thread count has 8 bits, so 0 to 255 are possible")]
    Threads { found: usize },
}
