//! The command line: what can be asked for, and the words of `--help`. Not what is done about it.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::bench::args as bench;
use crate::bench::args::BenchArgs;
use crate::plan::{self, PlanArgs};
use crate::talk::{self, TalkArgs};
use crate::tiny_gpu::{self, SimArgs};
use crate::transcribe::{self, TranscribeArgs};

/// Looks at a screen and says what is on it; nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "qwglm", version, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Show what happens inside, on standard error; twice for every packet and kernel
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

const AFTER: &str = "\
Start here:
  qwglm narrate                       narrate the screen, or a sample recording if there is none
  qwglm ask shot.png \"What failed?\"   one answer
  qwglm doctor                        what this machine has

Exit codes: 0 done, 1 failed, 2 bad usage or configuration. Ctrl-C ends cleanly; a second one at once.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is on a screen, a window, pictures, a folder of frames or a video
    #[command(after_help = NARRATE)]
    Narrate(NarrateArgs),
    /// Answer questions about a picture, an answer a line
    #[command(after_help = ASK)]
    Ask(AskArgs),
    /// Run any pipeline from its configuration
    #[command(after_help = RUN)]
    Run(RunArgs),
    /// Replay a recorded run: the same outputs, in no time and without a GPU
    #[command(after_help = REPLAY)]
    Replay(ReplayArgs),
    /// Speak a text into a WAV file, or say how it would be spoken
    #[command(after_help = SAY)]
    Say(SayArgs),
    /// Write down what is said in sound files
    #[command(after_help = transcribe::EXAMPLES)]
    Transcribe(TranscribeArgs),
    /// Converse by voice: it hears, answers aloud, and falls silent when you speak again
    #[command(after_help = talk::EXAMPLES)]
    Talk(TalkArgs),
    /// Draw a pipeline, as Mermaid or SVG
    #[command(after_help = GRAPH)]
    Graph(GraphArgs),
    /// Say what a model would take on a GPU, before any download
    #[command(after_help = plan::EXAMPLES)]
    Plan(PlanArgs),
    /// Run a program on a simulated tiny-gpu, cycle by cycle
    #[command(after_help = tiny_gpu::EXAMPLES)]
    Sim(SimArgs),
    /// Measure this machine
    #[command(after_help = bench::EXAMPLES)]
    Bench(BenchArgs),
    /// Say what this machine has, and test it
    #[command(after_help = DOCTOR)]
    Doctor(DoctorArgs),
}

const NARRATE: &str = "\
SOURCE is one of
  shot.png other.jpg    picture files, each once
  frames/               a folder of pictures: frames in the order of their names
  clip.mp4              a video, read by an installed ffmpeg
  screen                the screen (programs built with feature `desktop`)
  window:TITLE          a window whose title or application has TITLE in it
Without SOURCE: the screen if there is one, else the sample recording inside the program.

Frames that show nothing new are passed over. Recorded sources are narrated whole; --live
plays them at their own pace and passes over what there is no time for, as with a screen.

Examples:
  qwglm narrate
  qwglm narrate shot.png --prompt \"Describe the screen.\"
  qwglm narrate clip.mp4 --fps 1 --json
  qwglm narrate window:Firefox --engine wgpu
  qwglm narrate --tsv narrations.tsv shots/*.png
  qwglm narrate --jsonl narrations.jsonl frames/
  qwglm narrate frames/ --trace trace.json        # open in ui.perfetto.dev
  qwglm narrate frames/ --record run.qwr          # for `qwglm replay`
  qwglm narrate frames/ -v                        # also what an answer waits for, part by part";

const ASK: &str = "\
Examples:
  qwglm ask shot.png \"What is the title?\"
  qwglm ask shot.png \"Is there an error on the screen?\" \"What are the buttons?\"
  qwglm ask shot.png \"Read the first line.\" --model ./my-qwen3-vl --quant 4";

const RUN: &str = "\
Relative paths that a configuration reads start from its own folder, those that it writes from
the current one.

Examples:
  qwglm run configs/narrate.toml
  qwglm run configs/narrate.toml --engine-type sim
  qwglm run configs/narrate.toml --set screen.fps=1 --set model.eyes.quant=4
  qwglm run configs/describe.toml --set 'files.path=[\"a.png\", \"b.png\"]'
  qwglm run configs/narrate.toml --view
  qwglm run configs/narrate.toml --trace trace.json
  qwglm run configs/narrate.toml --record run.qwr      # for `qwglm replay`";

const REPLAY: &str = "\
A recording has what the sources sent and what the engines answered, so the replay needs neither
them nor the model's weights (only its tokenizer). Files that the run wrote are written again,
from the current folder. With --engine-type the recorded inputs go to a real engine instead.

A recording that was cut off gives what came before the cut, and then exit code 1.

Examples:
  qwglm narrate frames/ --record run.qwr
  qwglm replay run.qwr
  qwglm replay run.qwr --json
  qwglm replay run.qwr --engine-type sim --set generate.seed=2
  qwglm replay run.qwr --set model.eyes.source=./where-the-model-is-now";

const SAY: &str = "\
A text is read as a person would: numbers, dates, money, units, addresses, names of files and code become words.

Examples:
  qwglm say \"The build failed at 14:05.\" -o out.wav
  qwglm say \"Hello\" -o out.wav --voice ./en_US-lessac-medium.onnx --speed 1.2
  qwglm say - -o out.wav < notes.txt
  qwglm say \"It costs $5.\" --normalized --phonemes
  qwglm say --phonemes --tsv phonemes.tsv sentences.tsv";

const GRAPH: &str = "\
Examples:
  qwglm graph configs/narrate.toml                  # Mermaid, on standard output
  qwglm graph configs/narrate.toml -o narrate.svg
  qwglm graph configs/narrate.toml -o narrate.mmd";

const DOCTOR: &str = "\
Examples:
  qwglm doctor
  qwglm doctor --json | jq .engines
  qwglm doctor --rechoose               # after an update of the driver that kept its version";

/// Where the numbers are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// The GPU if there is one, else the simulator
    #[default]
    Auto,
    /// The GPU
    Wgpu,
    /// The CPU
    Sim,
    /// The GPU, and each of its kernels beside what it could take: `docs/impossible-gpu.md`
    Hybrid,
}

/// The engine types that a configuration may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineType {
    Wgpu,
    Sim,
    Hybrid,
}

impl EngineType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Wgpu => "wgpu",
            Self::Sim => "sim",
            Self::Hybrid => "hybrid",
        }
    }
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QuantArg {
    #[value(name = "4", alias = "q4")]
    Q4,
    #[value(name = "8", alias = "q8")]
    Q8,
    Dense,
}

/// How what is not quantised is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    F16,
    F32,
}

/// Which model, and on what.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A pocket model's name, a folder, or a Hugging Face id (OWNER/NAME) [default: pocket-vl]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Bits a weight [default: 8; dense if --precision is given]
    #[arg(long, value_name = "BITS")]
    pub quant: Option<QuantArg>,
    /// Dense weights and the KV cache in f16 or f32 [default: f16]
    #[arg(long)]
    pub precision: Option<PrecisionArg>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineArg,
    /// Bound of an answer in tokens [default: 160]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32_768))]
    pub max_new_tokens: Option<u32>,
}

#[derive(Debug, Args)]
pub struct NarrateArgs {
    /// What to look at: pictures, a folder, a video, `screen`, or `window:TITLE`
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// What the model is asked about each picture [default: Describe the screen.]
    #[arg(long, value_name = "WORDS")]
    pub prompt: Option<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Frames a second that are taken of a screen or video, or that a folder has [default: 2]
    #[arg(long, value_name = "N")]
    pub fps: Option<f64>,
    /// Play a recording at its own pace; pass over what there is no time for
    #[arg(long)]
    pub live: bool,
    /// One JSON object a line on standard output instead of words
    #[arg(long)]
    pub json: bool,
    /// Draw the graph at work on the terminal: stages, links, last words
    #[arg(long, conflicts_with = "json")]
    pub view: bool,
    /// Also write `stem<TAB>narration` lines, white space collapsed (`-`: standard output)
    #[arg(long, value_name = "OUT")]
    pub tsv: Option<PathBuf>,
    /// Also write `{"frame": n, "text": "…"}` lines (`-`: standard output)
    #[arg(long, value_name = "OUT")]
    pub jsonl: Option<PathBuf>,
    /// Write a trace that Perfetto opens
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the run down, for `qwglm replay`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The configuration to start from, instead of the program's own
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AskArgs {
    /// The picture
    pub image: PathBuf,
    /// What to ask about it; with several questions each answer is a line
    #[arg(required = true, value_name = "QUESTION")]
    pub questions: Vec<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Write the run down, for `qwglm replay`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// A configuration, and what to change in it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration
    pub config: PathBuf,
    /// The type of all engines
    #[arg(long, value_name = "TYPE")]
    pub engine_type: Option<EngineType>,
    /// Set a key: `STAGE.KEY=VALUE`, or with its whole path (`model.eyes.quant=4`); may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Texts and counters as JSON, an object a line, instead of what the configuration writes to standard output
    #[arg(long)]
    pub json: bool,
    /// Draw the graph at work on the terminal: stages, links, last words
    #[arg(long, conflicts_with = "json")]
    pub view: bool,
    /// Write a trace that Perfetto opens
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the run down, for `qwglm replay`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// What `--record` wrote
    pub recording: PathBuf,
    /// Play the recorded inputs on engines of this type instead of the recorded answers
    #[arg(long, value_name = "TYPE")]
    pub engine_type: Option<EngineType>,
    /// Set a key of the recorded configuration, as with `run`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Texts and counters as JSON, an object a line
    #[arg(long)]
    pub json: bool,
    /// Draw the graph at work on the terminal: stages, links, last words
    #[arg(long, conflicts_with = "json")]
    pub view: bool,
    /// Write a trace that Perfetto opens
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SayArgs {
    /// What to say; `-` reads it from standard input. With --tsv: a file of lines `id<TAB>…<TAB>text`
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// The file to write
    #[arg(short, long, value_name = "WAV")]
    pub output: Option<PathBuf>,
    /// A voice inside the program, or a Piper voice: NAME.onnx with NAME.onnx.json beside it
    #[arg(long, default_value = "joe")]
    pub voice: String,
    /// The name or number of a speaker, of a voice that has several
    #[arg(long)]
    pub speaker: Option<String>,
    /// 2 is twice as fast
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f32,
    /// The same seed gives the same sound
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print when each word is heard: start and end in seconds, the word, what it stands for
    #[arg(long, requires = "output")]
    pub words: bool,
    /// Print the phonemes instead
    #[arg(long)]
    pub phonemes: bool,
    /// Print the text in words as they are said instead
    #[arg(long)]
    pub normalized: bool,
    /// Write `id<TAB>phonemes` (without --phonemes: the words) of each sentence of a file (`-`: standard output)
    #[arg(long, value_name = "OUT")]
    pub tsv: Option<PathBuf>,
    /// Phonemes as espeak-ng 1.52 writes them, which the newest voices were trained on
    #[arg(long)]
    pub espeak_152: bool,
}

fn speed(text: &str) -> Result<f32, String> {
    let speed = text.parse::<f32>().ok().filter(|speed| (0.25..=4.0).contains(speed));
    speed.ok_or_else(|| "a number from 0.25 to 4".into())
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The file: .svg or .mmd [default: Mermaid on standard output]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Check and time the algorithms of each GPU anew, whatever is remembered of it
    #[arg(long)]
    pub rechoose: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
