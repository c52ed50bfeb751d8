//! What the page and the engine's worker say to each other: JSON over `postMessage`. Pictures go beside it, transferred.
//!
//! The page acknowledges each message, and the worker has at most [`WINDOW`] that are not: so a link from a graph's sink to the
//! page has a bound, and waits. Counters are told only while there is room.

use serde::{Deserialize, Serialize};
use sim::hybrid::Step as DecodeStep;

/// Messages to the page that may be unacknowledged.
pub const WINDOW: usize = 8;

/// To the engine's worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to")]
pub enum ToEngine {
    /// Check a configuration, start its engines, load its models.
    Prepare {
        /// The text of the configuration.
        config: String,
        engine: EngineKind,
    },
    /// Say what is wrong with a configuration.
    Check { config: String },
    /// Say how models would do on GPUs, before any download.
    Plan,
    /// The same of a model of the hub, from its configuration and its list of files.
    PlanHub { id: String },
    /// Say what a decode step takes on its engine, on a GPU like `profile` (none: like the adapter) and on the impossible one;
    /// after measuring it anew, or with what was measured so far.
    Step { profile: Option<String>, measure: bool },
    /// Say what that step takes on every GPU that is known.
    Compare,
    /// Play the graph that was prepared.
    Start { source: Source },
    /// Let what is on its way arrive, then end.
    Stop,
    /// Stop what is being said: a new turn.
    Hush,
    /// Bring here what the part of this configuration needs that runs in `place`; for workers without an engine.
    Join { config: String, place: Place },
    /// Play the part of the graph that runs in `place`. The run's time is 0 at `zero_unix_ms`, in all its parts.
    StartPart {
        place: Place,
        source: Source,
        zero_unix_ms: f64,
    },
    /// Frame 0 of the sound's own count sounds then, in milliseconds since 1970.
    AudioTime { unix_ms: f64 },
    /// Bring the voice here; for the worker that speaks.
    Voice,
    /// Say this. Older words that were not begun are left out.
    Speak { text: String },
    /// Hold the download, or go on with it.
    Hold { on: bool },
    /// Give the download up.
    Cancel,
    /// A message was heard.
    Heard,
    /// What was shared has ended; a picture that was wanted does not come.
    ShareEnded,
}

/// What the engines of a configuration are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// As the configuration says.
    #[default]
    AsWritten,
    /// The simulator in place of a GPU.
    Simulator,
}

/// Which worker a stage runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Engines and what speaks to them.
    Engine,
    /// What must never wait: the microphone, who speaks, whose turn it is, the loudspeaker.
    Ears,
    /// The voice, whose work is long.
    Voice,
}

impl Place {
    pub const ALL: [Self; 3] = [Self::Engine, Self::Ears, Self::Voice];

    /// As it is written in messages: `ears`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Ears => "ears",
            Self::Voice => "voice",
        }
    }
}

/// Where pictures come from, whatever source the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What the person shares; the page sends a picture whenever one is wanted.
    Share,
    /// The recording that travels with the page.
    Sample,
    /// Files of the person's choice, which the page sent before.
    Pictures,
    /// Nothing is looked at.
    Nothing,
}

/// To the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to")]
pub enum ToPage {
    /// The worker's program runs.
    Awake,
    /// The voice is here.
    VoiceReady,
    /// What [`ToEngine::Join`] asked for is here.
    Joined,
    /// Somebody begins to speak into the microphone, or ends.
    Voice {
        on: bool,
    },
    /// The loudspeaker sounds, or falls silent.
    Speaking {
        on: bool,
    },
    Progress(Progress),
    Ready(Ready),
    /// What is wrong with the configuration that was last checked, a line a fault; empty: nothing.
    Checked {
        faults: Vec<String>,
    },
    /// One model on all GPUs; the models follow each other.
    Planned {
        rows: Vec<PlanRow>,
    },
    /// Why a model of the hub is not planned.
    NoPlan {
        message: String,
    },
    Step(Box<StepTold>),
    /// Why there is no step to tell of.
    NoStep {
        message: String,
    },
    /// The step on one more GPU.
    Compared(GpuRow),
    /// A run has begun; what it consists of.
    Began {
        links: Vec<LinkShape>,
    },
    /// The page is asked for a picture of what is shared.
    WantShot,
    Text(Words),
    Counters(Counters),
    Rate(Rate),
    Notice(Notice),
    Failed(Failure),
    /// A run has ended, by itself or because it was asked to.
    Ended,
}

/// How far something long is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub step: Step,
    pub done_bytes: u64,
    pub total_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Files on their way to this machine.
    Fetch,
    /// From memory to the engine.
    Load,
}

/// How a model would do on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    pub model: String,
    pub gpu: String,
    /// What comes over the network; 0 where that is not known.
    pub download_bytes: u64,
    /// Weights and cache.
    pub size_bytes: u64,
    pub fits: bool,
    /// Tokens a second of an answer; `None` where it does not fit.
    pub tokens_per_s: Option<f64>,
    /// From a picture of 640 × 360 to the first word, in milliseconds.
    pub first_word_ms: Option<f64>,
}

/// A decode step of the model that answers, or of the page's own where none is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTold {
    pub model: String,
    /// What it lies on; none: it is not loaded.
    pub adapter: Option<String>,
    pub by: MeasuredBy,
    /// The GPU that is modelled: its key and its name.
    pub profile: String,
    pub profile_name: String,
    pub likeness: Likeness,
    /// What the impossible one has over it, in words.
    pub switches: String,
    pub step: DecodeStep,
}

/// How the real time was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredBy {
    /// A time stamp before and behind each dispatch.
    Stamps,
    /// The clock: the step as a whole.
    Clock,
    /// It was not measured.
    Nothing,
}

/// Why a profile is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// It is the adapter's, by its name.
    ByName,
    /// The adapter's name is none that is known; this is of its kind.
    OfItsKind,
    /// The person chose it.
    Chosen,
}

/// The step on a GPU of which there is a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuRow {
    pub key: String,
    pub name: String,
    pub step_s: f64,
    pub waits_for: String,
    /// With a perfect cache, no latency and 500 times the arithmetic.
    pub impossible_s: f64,
    pub impossible_waits_for: String,
}

/// Models lie on their engines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub adapter: String,
    /// It computes on the processor.
    pub is_software: bool,
    pub is_simulated: bool,
    pub weight_bytes: u64,
    pub memory_bytes: u64,
    pub load_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkShape {
    pub name: String,
    pub from: String,
    pub to: String,
    pub size: usize,
    pub when_full: String,
}

/// An answer so far, or what was heard so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Words {
    /// It was heard; else the program says it.
    pub is_heard: bool,
    pub turn: u64,
    pub pts_ms: u64,
    /// Which picture it is about, by number and name.
    pub frame: Option<(u64, String)>,
    pub text: String,
    pub is_thought: bool,
    pub is_finished: bool,
}

/// The counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    pub elapsed_ms: u64,
    pub links: Vec<LinkCounters>,
    pub stages: Vec<StageCounters>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkCounters {
    pub name: String,
    pub depth: usize,
    pub sent: u64,
    pub dropped: u64,
    pub waited_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageCounters {
    pub name: String,
    pub type_name: String,
    pub received: u64,
    pub sent: u64,
    pub restarts: u64,
    pub busy_ms: u64,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    pub prompt_tokens: f64,
    pub reused_tokens: f64,
    pub prefill_per_s: f64,
    pub new_tokens: f64,
    pub tokens_per_s: f64,
}

/// The run goes on, but not as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Notice {
    /// The GPU was lost and is being opened again.
    DeviceLost,
    Restarted {
        stage: String,
        message: String,
    },
    Warning {
        stage: String,
        message: String,
    },
    /// A model is used and not kept: the disk is full, or another tab has it open.
    NotKept {
        message: String,
    },
}

/// The end of an attempt; `message` is what the program says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

/// Which words, and which way on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The browser has no WebGPU, or offers no adapter.
    NoGpu,
    /// The adapter is too small, or has too little memory.
    GpuTooSmall,
    /// The device was lost again and again.
    GpuLost,
    /// Files did not arrive.
    Network,
    /// The configuration has faults.
    Config,
    /// The person did not share anything.
    ShareDenied,
    /// The browser cannot share a screen.
    NoShare,
    /// The person does not let the page hear.
    MicrophoneDenied,
    /// There is no microphone, or it is gone.
    NoMicrophone,
    /// The person's own wish.
    Cancelled,
    /// Anything else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_way() {
        let to_page = [
            ToPage::Awake,
            ToPage::WantShot,
            ToPage::Speaking { on: true },
            ToPage::Text(Words {
                is_heard: false,
                turn: u64::MAX,
                pts_ms: 500,
                frame: Some((3, "003".into())),
                text: "A window.\n\"é\"".into(),
                is_thought: false,
                is_finished: true,
            }),
            ToPage::Failed(Failure {
                kind: FailureKind::NoGpu,
                message: "none".into(),
            }),
            ToPage::Notice(Notice::DeviceLost),
        ];
        for message in to_page {
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<ToPage>(&text).unwrap(), message, "{text}");
        }
        let start = ToEngine::Start { source: Source::Share };
        let text = serde_json::to_string(&start).unwrap();
        assert_eq!(text, r#"{"to":"start","source":"share"}"#);
        assert_eq!(serde_json::from_str::<ToEngine>(&text).unwrap(), start);
    }
}
