//! `qwglm transcribe`: sound files to text. The flags are changes to the program's own `captions.toml`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use pipeline::packet::{Body, Packet, Text};
use serde_json::json;
use stages::sink::lines::collapsed;
use toml_edit::{Array, Value};

use crate::args::{EngineArg, ModelArgs, PrecisionArg, QuantArg};
use crate::failure::usage;
use crate::graph_text::GraphText;
use crate::models::POCKET_ASR;
use crate::play::{Shown, play, unless_interrupted};
use crate::print_line;
use crate::source::absolute;
use crate::tape::With;

const CAPTIONS: &str = include_str!("../../../configs/captions.toml");
/// The stage that hands texts to the program.
const TAP: &str = "program";

pub const EXAMPLES: &str = "\
Files are WAV (integers or floats of any width) or FLAC, of any rate and number of channels.
pocket-asr travels with the program and is small: for better words, name another Parakeet-TDT, as
NVIDIA's .nemo file, a folder, or a Hugging Face id.

Examples:
  qwglm transcribe talk.wav
  qwglm transcribe --tsv words.tsv recordings/*.flac
  qwglm transcribe --json talk.flac | jq .words
  qwglm transcribe talk.wav --model nvidia/parakeet-tdt-0.6b-v2 --words";

#[derive(Debug, Args)]
pub struct TranscribeArgs {
    /// Sound files: WAV or FLAC
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A pocket model's name, a folder, a .nemo file, or a Hugging Face id (OWNER/NAME)
    #[arg(long, value_name = "MODEL", default_value = POCKET_ASR)]
    pub model: String,
    /// Bits a weight [default: dense]
    #[arg(long, value_name = "BITS")]
    pub quant: Option<QuantArg>,
    /// Dense weights in f16 or f32 [default: f16]
    #[arg(long)]
    pub precision: Option<PrecisionArg>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineArg,
    /// Print each word: start and end in seconds, how sure it is (0 … 1), the word
    #[arg(long, conflicts_with = "json")]
    pub words: bool,
    /// One JSON object a file on standard output, with the times of words
    #[arg(long)]
    pub json: bool,
    /// Silence that is heard before and after each file, in milliseconds [default: 400]
    #[arg(long, value_name = "MS")]
    pub silence: Option<u32>,

    /// Write `stem<TAB>text` lines, white space collapsed (`-`: standard output)
    #[arg(long, value_name = "OUT")]
    pub tsv: Option<PathBuf>,
}

/// Transcribes; says on standard error how fast.
///
/// Errors: bad usage, and those of [`play()`]. A file that cannot be read keeps no other from being heard.
pub async fn transcribe(args: TranscribeArgs) -> Result<()> {
    let text = unless_interrupted(text(&args)).await?;
    let began = Instant::now();
    let (mut n_files, mut sound_s) = (0u64, 0.0);
    let is_quiet = args.tsv.is_some() && !args.json && !args.words;
    let played = play(&text, TAP, Shown::default(), &With::Nothing, |packet| {
        let Some(heard) = finished(packet) else { return Ok(()) };
        n_files += 1;
        sound_s += seconds(heard);
        match is_quiet {
            true => Ok(()),
            false => show(heard, &args),
        }
    })
    .await;
    let took_s = began.elapsed().as_secs_f64();
    if n_files > 0 {
        let files = if n_files == 1 { "file" } else { "files" };
        eprintln!("{n_files} {files}, {sound_s:.1} s of sound in {took_s:.1} s, loading included");
    }
    played.map(|_| ())
}

fn finished(packet: &Packet) -> Option<&Text> {
    match &packet.body {
        Body::Text(text) if text.finished.is_some() => Some(text),
        _ => None,
    }
}

/// How long the sound was.
fn seconds(text: &Text) -> f64 {
    let spoken = text.spoken.as_ref();
    spoken.map_or(0.0, |spoken| spoken.end.since(spoken.start).as_secs_f64())
}

fn show(heard: &Text, args: &TranscribeArgs) -> Result<()> {
    let label = heard.about.as_ref().map(|about| &*about.label).unwrap_or_default();
    let words = heard.spoken.as_ref().map(|spoken| &*spoken.words).unwrap_or_default();
    if args.json {
        let words = words.iter().map(|word| {
            json!({
                "word": word.text,
                "start": rounded(word.start.as_secs_f64()),
                "end": rounded(word.end.as_secs_f64()),
                "confidence": rounded(word.confidence.into()),
            })
        });
        let object = json!({
            "file": label,
            "text": heard.text,
            "seconds": rounded(seconds(heard)),
            "words": words.collect::<Vec<_>>(),
        });
        return print_line(&object.to_string());
    }
    let has_many = args.files.len() > 1;
    if !args.words {
        let text = collapsed(&heard.text);
        return print_line(&if has_many { format!("{label}: {text}") } else { text });
    }
    if has_many {
        print_line(&format!("# {label}"))?;
    }
    for word in words {
        let [start, end] = [word.start, word.end].map(|time| time.as_secs_f64());
        print_line(&format!("{start:.2}\t{end:.2}\t{:.2}\t{}", word.confidence, word.text))?;
    }
    Ok(())
}

/// To the millisecond; so is what is printed no longer than it is exact.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

async fn text(args: &TranscribeArgs) -> Result<GraphText> {
    let to_stdout = args.tsv.as_deref() == Some(Path::new("-"));
    if to_stdout && (args.json || args.words) {
        return Err(usage("only one of --json, --words and --tsv - can have standard output"));
    }
    let mut text = GraphText::bundled("captions.toml", CAPTIONS);
    let model = ModelArgs {
        model: Some(args.model.clone()),
        quant: args.quant,
        precision: args.precision,
        engine: args.engine,
        max_new_tokens: None,
    };
    text.set_model(&model).await?;
    let sound = text.only_stage("capture.")?;
    let paths = args.files.iter().map(|file| absolute(file).to_string_lossy().into_owned());
    text.put_stage(
        &sound,
        [
            ("type", "capture.audio".into()),
            ("path", Value::Array(Array::from_iter(paths))),
            ("realtime", false.into()),
            ("block_ms", 500.into()),
        ],
    );
    let words = text.only_stage("stt.")?;
    text.set_in_stage(&words, "partial_ms", 0.into());
    if let Some(silence_ms) = args.silence {
        text.set_in_stage(&words, "silence_ms", i64::from(silence_ms).into());
    }
    for sink in text.stages_of(&["sink."]) {
        text.remove_stage(&sink);
    }
    text.put_stage(TAP, [("type", "sink.channel".into()), ("input", words.as_str().into())]);
    if let Some(path) = &args.tsv {
        let mut keys = vec![
            ("type", "sink.tsv".into()),
            ("input", words.as_str().into()),
            ("path", path.to_string_lossy().into_owned().into()),
        ];
        keys.extend(to_stdout.then(|| ("deadline_ms", "none".into())));
        text.put_stage("tsv", keys);
    }
    Ok(text)
}
