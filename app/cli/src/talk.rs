//! `qwglm talk`: the conversation of `configs/talk.toml`, with the microphone, speaker and screen that are asked for or there.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use toml_edit::Value;

use crate::args::ModelArgs;
use crate::embedded::Recording;
use crate::failure::usage;
use crate::graph_text::GraphText;
use crate::play::{Shown, play, tap_texts};
use crate::source::{Source, absolute};
use crate::tape::With;

const TALK: &str = include_str!("../../../configs/talk.toml");

pub const EXAMPLES: &str = "\
Hands-free: speak, and it answers when you have finished; speak again, and it falls silent. It sees the screen when you ask about it.
Only what you really heard of an answer is remembered. The microphone and the speaker need a program built with feature `desktop`;
files stand for them anywhere.

Examples:
  qwglm talk
  qwglm talk --audio question.wav --wav answer.wav
  qwglm talk --ears ./parakeet-tdt-0.6b-v2.nemo --model Qwen/Qwen3-VL-8B-Instruct --quant 4";

#[derive(Debug, Args)]
pub struct TalkArgs {
    /// Hear this WAV or FLAC file instead of the microphone
    #[arg(long, value_name = "FILE")]
    pub audio: Option<PathBuf>,
    /// Write what is said into this file instead of playing it; silence stays silence
    #[arg(long, value_name = "OUT")]
    pub wav: Option<PathBuf>,
    /// What hears: a pocket model's name, a folder, a .nemo file, or a Hugging Face id [default: pocket-asr]
    #[arg(long, value_name = "MODEL")]
    pub ears: Option<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Write a trace that Perfetto opens
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// The configuration to start from, instead of the program's own
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Converses until the sound ends, or until Ctrl-C; says on standard error how it went.
///
/// Errors: bad usage, and those of [`play()`].
pub async fn talk(args: TalkArgs) -> Result<()> {
    let mut text = match &args.config {
        Some(path) => GraphText::read(path)?,
        None => GraphText::bundled("talk.toml", TALK),
    };
    // The recording stays unpacked until the run is over.
    let _recording = set_devices(&mut text, &args)?;
    let ears = args.ears.as_deref().map(source_of_ears).or_else(|| text.source_of("ears"));
    text.set_model(&args.model).await?;
    // Flags about the model are not about what hears.
    if let Some(ears) = ears {
        text.set(&format!("model.ears.source={}", Value::from(ears)))?;
        text.set("model.ears.quant=\"dense\"")?;
    }
    let tap = tap_texts(&mut text);
    let with = With::recording(None, &text, &[])?;
    let shown = Shown {
        trace: args.trace.as_deref(),
        view: false,
    };
    let summary = play(&text, &tap, shown, &with, |_| Ok(())).await?;
    eprintln!("{}", summary.line());
    Ok(())
}

/// What hears, as the command line names it: a path starts from here, wherever the configuration lies.
fn source_of_ears(given: &str) -> String {
    let path = Path::new(given);
    if path.exists() {
        shown(&absolute(path))
    } else {
        given.to_owned()
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Puts files or devices in place of the configuration's own files.
fn set_devices(text: &mut GraphText, args: &TalkArgs) -> Result<Option<Recording>> {
    let has_devices = cfg!(feature = "desktop");
    let is_bundled = args.config.is_none();
    if is_bundled && !has_devices && (args.audio.is_none() || args.wav.is_none()) {
        return Err(usage(
            "this program was built without sound devices (feature `desktop`): name files with --audio FILE and --wav OUT",
        ));
    }
    let microphone = text.only_stage("vad.").and_then(|vad| source_stage(text, &vad))?;
    let speaker = text.only_stage("tts.").and_then(|voice| reader_of(text, &voice))?;
    match &args.audio {
        Some(file) => text.put_stage(
            &microphone,
            [("type", "capture.audio".into()), ("path", shown(&absolute(file)).into())],
        ),
        None if is_bundled => text.put_stage(&microphone, [("type", "capture.microphone".into())]),
        None => {}
    }
    match &args.wav {
        Some(file) => {
            text.replace_stage(&speaker, "sink.wav", &["input", "inputs"]);
            text.set_in_stage(&speaker, "path", shown(&absolute(file)).into());
            text.set_in_stage(&speaker, "realtime", true.into());
        }
        None if is_bundled => text.replace_stage(&speaker, "sink.speaker", &["input", "inputs"]),
        None => {}
    }
    if !is_bundled {
        return Ok(None);
    }
    // The screen; a file that is heard ends, and a screen does not, so with one it is a picture that shows how it works.
    if args.audio.is_none() && Source::has_screen() {
        text.put_stage("screen", [("type", "capture.screen".into()), ("fps", Value::from(1.0))]);
        return Ok(None);
    }
    let recording = Recording::open()?;
    let picture = shown(&recording.folder.join("024.png"));
    text.put_stage("screen", [("type", "capture.file".into()), ("path", picture.into())]);
    Ok(Some(recording))
}

/// The stage that feeds the input `audio` of `vad`.
fn source_stage(text: &GraphText, vad: &str) -> Result<String> {
    let name = audio_of(text, vad).map(str::to_owned);
    name.ok_or_else(|| usage(format!("stage {vad} has no input that this command could replace")))
}

/// The sink that plays what `voice` says.
fn reader_of(text: &GraphText, voice: &str) -> Result<String> {
    let mut sinks = text.stages_of(&["sink."]).into_iter();
    let found = sinks.find(|sink| audio_of(text, sink) == Some(voice));
    found.ok_or_else(|| usage(format!("no sink plays what stage {voice} says")))
}

/// Where a stage has its sound from.
fn audio_of<'a>(text: &'a GraphText, stage: &str) -> Option<&'a str> {
    let stage = text.stage(stage)?;
    let named = stage.get("inputs").and_then(|inputs| inputs.get("audio"));
    let input = named.or_else(|| stage.get("input"))?;
    input.as_str().or_else(|| input.get("from")?.as_str())
}
