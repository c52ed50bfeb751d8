//! The words of `qwglm sim`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sim::tiny_gpu::{Config, Features, Ideal};

pub const EXAMPLES: &str = "\
PROGRAM is a file of assembler, or a bundled program: matadd, matmul.

  .threads 8                  ; how many threads
  .data 1 2 3 4               ; bytes of data memory, from address 0
  LOOP: ADD R0, R0, %threadIdx
        CMP R0, R1
        BRn LOOP              ; n: not equal, z: equal
        RET
Instructions: NOP, BR[n][z][p], CMP, ADD, SUB, MUL, DIV, LDR, STR, CONST, RET.

Examples:
  qwglm sim matmul
  qwglm sim matadd --compare                     # what each cache, latency and channel is worth
  qwglm sim matadd --compare --svg worth.svg
  qwglm sim mine.asm --threads 6 --with divergence
  qwglm sim mine.asm --cores 4 --threads-per-block 8 --data-channels 2
  qwglm sim matmul --trace trace.json            # open in ui.perfetto.dev
  qwglm sim matmul --trace-lines cycles.jsonl    # a line a cycle";

/// What the original lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// 16 words a core
    InstructionCache,
    /// 16 bytes a core
    DataCache,
    /// Loads of one address share a request
    Coalescing,
    /// The next instruction is fetched while this one runs
    PipelinedFetch,
    /// A program counter a lane
    Divergence,
    /// Impossible: every fetch and load hits
    PerfectCache,
    /// Impossible: memory answers at once
    ZeroLatency,
    /// Impossible: a channel for everyone
    UnlimitedChannels,
}

#[derive(Debug, Args)]
pub struct SimArgs {
    /// A file, or the name of a bundled program
    pub program: PathBuf,
    /// Threads, instead of the program's own `.threads`
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub cores: usize,
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub threads_per_block: usize,
    /// Requests in flight to data memory
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub data_channels: usize,
    /// Requests in flight to program memory
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub program_channels: usize,
    /// Cycles until memory answers
    #[arg(long, value_name = "CYCLES", default_value_t = 1)]
    pub memory_latency: u32,
    /// What the machine has beyond tiny-gpu; may be given several times
    #[arg(long = "with", value_name = "SWITCH", value_delimiter = ',')]
    pub switches: Vec<Switch>,
    /// Give up after so many cycles
    #[arg(long, value_name = "CYCLES", default_value_t = 1_000_000)]
    pub max_cycles: u64,
    /// Also run with each switch alone and with all, and compare
    #[arg(long)]
    pub compare: bool,
    /// Draw that comparison
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write a trace for ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write a line of JSON for each cycle
    #[arg(long, value_name = "FILE")]
    pub trace_lines: Option<PathBuf>,
    /// One JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

impl SimArgs {
    pub fn config(&self) -> Config {
        let has = |switch| self.switches.contains(&switch);
        Config {
            cores: self.cores,
            threads_per_block: self.threads_per_block,
            data_channels: self.data_channels,
            program_channels: self.program_channels,
            memory_latency_cycles: self.memory_latency,
            features: Features {
                instruction_cache: has(Switch::InstructionCache),
                data_cache: has(Switch::DataCache),
                coalescing: has(Switch::Coalescing),
                pipelined_fetch: has(Switch::PipelinedFetch),
                divergence: has(Switch::Divergence),
                pc_from_first_lane: false,
            },
            ideal: Ideal {
                perfect_cache: has(Switch::PerfectCache),
                zero_latency: has(Switch::ZeroLatency),
                unlimited_channels: has(Switch::UnlimitedChannels),
            },
        }
    }
}
