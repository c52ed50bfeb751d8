//! The command line of `qwglm bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gpu::engine::Adapter;
use gpu::plan::Variants;

use crate::args::{EngineType, QuantArg};

/// `qwglm bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub what: Option<BenchCommand>,
    #[command(flatten)]
    pub model: BenchModelArgs,
}

pub const EXAMPLES: &str = "\
Weights are random and made up on the spot: nothing is downloaded, and speed does not depend on
their values. NAME is qwen3-vl-2b, -4b or -8b, parakeet-0.6b, a pocket model, or a folder with a
config.json.

Examples:
  qwglm bench                                          # the pocket model's shape
  qwglm bench --shape qwen3-vl-8b --quant 4 --cancel
  qwglm bench --shape qwen3-vl-2b --contexts 0,2048 --prefill 512 --images 640x352 --json
  qwglm bench --shape parakeet-0.6b --quant dense      # how many times as fast as it is spoken
  qwglm bench talk --shape qwen3-vl-8b                 # from the end of speech to the first sound of the answer
  qwglm bench kernels --shape qwen3-vl-8b --layers 4   # each kernel on this model's own shapes
  qwglm bench --calibrate                              # this adapter's profile, for qwglm plan --gpu here
  qwglm bench --calibrate --output mine.toml
  qwglm bench pipeline                                 # what the runtime itself costs";

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// How long each kernel takes on a model's own shapes, by the GPU's own clock
    #[command(after_help = KERNELS)]
    Kernels(BenchKernelsArgs),
    /// What the runtime itself costs: a packet a hop, memory, overlap of stages, a stop
    Pipeline(BenchPipelineArgs),
    /// What the user of a conversation waits for: from the end of their speech to the first sound of the answer
    Talk(BenchTalkArgs),
    /// The sample recording in a loop for an hour: whether memory and latency stay as they were
    #[command(hide = true)]
    Soak(BenchSoakArgs),
}

const KERNELS: &str = "\
Each dispatch waits for the one before it and has a time stamp on both sides, so the sum is more than
a step takes: `step` is the time without stamps. Bytes and operations are what the plan says.

Examples:
  qwglm bench kernels --shape qwen3-vl-8b --quant 4 --layers 4
  qwglm bench kernels --shape qwen3-vl-8b --contexts 2048 --prefill none --images none
  qwglm bench kernels --shape qwen3-vl-2b --json | jq .phases[0].kernels";

/// Which shape, and on what.
#[derive(Debug, Args)]
pub struct ShapeArgs {
    /// The model's shape: a published one, a pocket model's, or a folder's
    #[arg(long, value_name = "NAME", default_value = "pocket-vl")]
    pub shape: String,
    /// Bits a weight
    #[arg(long, value_name = "BITS", default_value = "4")]
    pub quant: QuantArg,
    /// Part of the adapter's name [default: the fastest]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// As on an adapter that lacks this, whatever was chosen
    #[arg(long, value_enum, value_name = "WHAT")]
    pub without: Option<Without>,
    /// Only so many layers of the language model: sooner loaded
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub layers: Option<u32>,
    /// Runs of which the median is taken, after those that warm up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchModelArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Tokens that are in the cache before decoding
    #[arg(long, value_name = "N,…", default_value = "0,2048,16384")]
    pub contexts: Numbers,
    /// Lengths of prompts
    #[arg(long, value_name = "N,…", default_value = "512,2048")]
    pub prefill: Numbers,
    /// Sizes of pictures, in pixels
    #[arg(long, value_name = "WxH,…", default_value = "640x352,1024x1024,1920x1088")]
    pub images: Sizes,
    /// Tokens of each answer that is timed
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=4096))]
    pub tokens: u32,
    /// Also how long it takes until the engine is free when an answer is cancelled
    #[arg(long)]
    pub cancel: bool,
    /// What computes
    #[arg(long, value_enum, default_value = "wgpu")]
    pub engine: Engine,
    /// Instead: what the adapter can do (bandwidth, rates, launches) and how much of it kernels reach, as a profile
    #[arg(long)]
    pub calibrate: bool,
    /// The file of the profile [default: in the cache folder, where `plan --gpu here` finds it]
    #[arg(short, long, value_name = "FILE", requires = "calibrate")]
    pub output: Option<PathBuf>,
}

/// What an adapter can lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Without {
    /// Cooperative matrices
    Matrices,
    /// Everything that is optional
    All,
}

impl Without {
    /// These algorithms without those that need it.
    pub fn take_from(self, adapter: &Adapter, variants: &Variants) -> Variants {
        let plain = Variants::plain(adapter);
        match self {
            Without::Matrices => Variants {
                matmul: plain.matmul,
                attention: plain.attention,
                ..variants.clone()
            },
            Without::All => plain,
        }
    }
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The GPU
    Wgpu,
    /// The CPU
    Sim,
}

#[derive(Debug, Args)]
pub struct BenchKernelsArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Tokens that are in the cache before a step (`none`: no decoding)
    #[arg(long, value_name = "N,…", default_value = "0,2048")]
    pub contexts: Numbers,
    /// Lengths of prompts: their middle chunk is timed
    #[arg(long, value_name = "N,…", default_value = "2048")]
    pub prefill: Numbers,
    /// Sizes of pictures, in pixels
    #[arg(long, value_name = "WxH,…", default_value = "1024x1024")]
    pub images: Sizes,
}

#[derive(Debug, Args)]
pub struct BenchTalkArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// What hears: the shape of a model of speech (`none`: nothing)
    #[arg(long, value_name = "NAME", default_value = "parakeet-0.6b")]
    pub ears: String,
    /// Seconds of an utterance
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub utterance: u32,
    /// Tokens of the conversation before a question, which are in the cache
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=131_072))]
    pub context: u32,
    /// Sizes of pictures that are asked about besides, in pixels
    #[arg(long, value_name = "WxH,…", default_value = "640x352")]
    pub images: Sizes,
    /// What computes
    #[arg(long, value_enum, default_value = "wgpu")]
    pub engine: Engine,
}

#[derive(Debug, Args)]
pub struct BenchPipelineArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Packets that go through five stages
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub packets: u64,
    /// Runs of which the median is taken, after one that warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
}

/// `0,2048`, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers(pub Vec<usize>);

/// Above this no published model goes.
const MAX_TOKENS: usize = 262_144;

impl std::str::FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |word: &str| match word.trim().parse::<usize>() {
            Ok(n) if n <= MAX_TOKENS => Ok(n),
            _ => Err(format!("{word:?} is not a number up to {MAX_TOKENS}")),
        };
        list(text, number).map(Self)
    }
}

/// `640x352,1024x1024` (width and height), or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(pub Vec<(usize, usize)>);

/// A side of a patch times a side of a merge block.
const SIDE: usize = 32;
const MAX_SIDE: usize = 8192;

impl std::str::FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |word: &str| {
            let n = word.trim().parse::<usize>().ok();
            n.filter(|n| n.is_multiple_of(SIDE) && (SIDE..=MAX_SIDE).contains(n))
        };
        let size = |word: &str| {
            let sides = word.split_once(['x', '×']).and_then(|(w, h)| side(w).zip(side(h)));
            sides.ok_or_else(|| format!("{word:?} is not WIDTHxHEIGHT, both multiples of {SIDE} up to {MAX_SIDE}"))
        };
        list(text, size).map(Self)
    }
}

fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    match text.trim() {
        "none" => Ok(Vec::new()),
        text => text.split(',').map(item).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_what_cannot_be_is_named() {
        assert_eq!("0, 2048".parse(), Ok(Numbers(vec![0, 2048])));
        assert_eq!("none".parse(), Ok(Numbers(Vec::new())));
        assert_eq!("640x352,32×64".parse(), Ok(Sizes(vec![(640, 352), (32, 64)])));
        for text in ["", "1,", "-1", "many", "300000"] {
            assert!(text.parse::<Numbers>().is_err(), "{text}");
        }
        for text in ["640", "640x350", "0x32", "16384x32", "640x352x3"] {
            let error = text.parse::<Sizes>().unwrap_err();
            assert!(error.contains("multiples of 32"), "{error}");
        }
    }
}

#[derive(Debug, Args)]
pub struct BenchSoakArgs {
    /// How long; at least 7, so that there is an end to compare with the beginning
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(7..))]
    pub minutes: u64,
    /// The type of the engine
    #[arg(long, value_name = "TYPE", default_value = "sim")]
    pub engine_type: EngineType,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}
