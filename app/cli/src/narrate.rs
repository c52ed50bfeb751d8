//! `qwglm narrate`: the flags as changes to one of the program's own configurations, or to the one that is given.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml_edit::Value;

use crate::args::NarrateArgs;
use crate::embedded::Recording;
use crate::failure::usage;
use crate::graph_text::GraphText;
use crate::play::{self, Shown, json_from_packet, play, tap_texts};
use crate::print_line;
use crate::source::Source;
use crate::tape::With;

/// What plays frames, passing over those that show nothing new.
const FRAMES: &str = include_str!("../../../configs/narrate.toml");
/// What takes pictures, each once.
const PICTURES: &str = include_str!("../../../configs/describe.toml");

/// For what writes to standard output: who reads it may take their time.
const NO_DEADLINE: &str = "none";

/// Stages through which pictures and what is asked about them go, one at a time.
const HOPS: [&str; 4] = ["vision.", "chat.", "tokens.encode", "llm.generate"];

/// Narrates; says on standard error how it went.
///
/// Errors: bad usage, and those of [`play()`].
pub async fn narrate(args: NarrateArgs) -> Result<()> {
    // The recording stays unpacked until the run is over.
    let (source, _recording) = source(&args)?;
    let mut text = play::unless_interrupted(text(&args, source)).await?;
    let tap = tap_texts(&mut text);
    let json = args.json;
    let notes = [("tap", tap.clone()), ("json", json.to_string())];
    let with = With::recording(args.record.as_deref(), &text, &notes)?;
    let shown = Shown {
        trace: args.trace.as_deref(),
        view: args.view,
    };
    let summary = play(&text, &tap, shown, &with, |packet| match json_from_packet(packet) {
        Some(object) if json => print_line(&object.to_string()),
        _ => Ok(()),
    })
    .await?;
    if json {
        print_line(&summary.json().to_string())?;
    }
    eprintln!("{}", summary.line());
    Ok(())
}

fn source(args: &NarrateArgs) -> Result<(Option<Source>, Option<Recording>)> {
    if !args.sources.is_empty() {
        return Ok((Some(Source::from_args(&args.sources)?), None));
    }
    if args.config.is_some() {
        return Ok((None, None));
    }
    if Source::has_screen() {
        return Ok((Some(Source::Screen { window: None }), None));
    }
    let recording = Recording::open().context("the sample recording cannot be played")?;
    eprintln!("note: no screen can be captured here; narrating the sample recording");
    Ok((Some(Source::Frames(recording.folder.clone())), Some(recording)))
}

/// The graph that narrates `source`; `None`: what the configuration has.
async fn text(args: &NarrateArgs, source: Option<Source>) -> Result<GraphText> {
    let mut text = match (&args.config, &source) {
        (Some(path), _) => GraphText::read(path)?,
        (None, Some(Source::Pictures(_))) => GraphText::bundled("describe.toml", PICTURES),
        (None, _) => GraphText::bundled("narrate.toml", FRAMES),
    };
    text.set_model(&args.model).await?;
    if let Some(prompt) = &args.prompt {
        text.set_in_stages(&["chat.narrate"], "prompt", Value::from(prompt));
        text.remove_in_stages(&["chat.narrate"], "change_prompt");
        text.set_in_stages(&["chat.ask"], "question", Value::from(prompt));
    }
    if let Some(source) = source {
        set_source(&mut text, &source, args)?;
    } else if let Some(fps) = args.fps {
        text.set_in_stages(&["capture."], "fps", Value::from(fps));
    }
    set_sinks(&mut text, args)?;
    Ok(text)
}

/// Puts the source in place of the one that is there, and says what its frames do where there is no time for them.
fn set_source(text: &mut GraphText, source: &Source, args: &NarrateArgs) -> Result<()> {
    let name = text.only_stage("capture.")?;
    let is_live = args.live || matches!(source, Source::Screen { .. });
    text.put_stage(&name, source.keys(args.fps, is_live)?);
    match is_live {
        // The newest frame is worth more than those that wait.
        true => text.bound_inputs(&HOPS, 1, "drop_oldest"),
        false => text.bound_inputs(&HOPS, 2, "wait"),
    }
    Ok(())
}

/// The words go to the terminal or out as JSON, and to the files that were asked for.
fn set_sinks(text: &mut GraphText, args: &NarrateArgs) -> Result<()> {
    let is_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    let n_on_stdout = [args.json, args.view, is_stdout(&args.tsv), is_stdout(&args.jsonl)]
        .into_iter()
        .filter(|on| *on)
        .count();
    if n_on_stdout > 1 {
        return Err(usage(
            "only one of --json, --view, --tsv - and --jsonl - can have standard output",
        ));
    }
    // A configuration's own sinks are its business, unless they would write between ours.
    let is_bundled = args.config.is_none();
    if is_bundled || n_on_stdout > 0 {
        for sink in text.stages_of(&["sink."]) {
            if is_bundled || text.writes_to_stdout(&sink) {
                text.remove_stage(&sink);
            }
        }
    }
    let words = text.only_stage("tokens.decode")?;
    if is_bundled && n_on_stdout == 0 {
        let generate = text.only_stage("llm.generate")?;
        let inputs = [("text", words.as_str()), ("stats", generate.as_str())];
        let inputs = toml_edit::InlineTable::from_iter(inputs);
        text.put_stage(
            "terminal",
            [
                ("type", "sink.terminal".into()),
                ("inputs", Value::InlineTable(inputs)),
                ("deadline_ms", NO_DEADLINE.into()),
            ],
        );
    }
    for (name, kind, path) in [("tsv", "sink.tsv", &args.tsv), ("jsonl", "sink.jsonl", &args.jsonl)] {
        if let Some(path) = path {
            let mut keys = vec![
                ("type", kind.into()),
                ("input", words.as_str().into()),
                ("path", path.to_string_lossy().into_owned().into()),
            ];
            keys.extend((path == Path::new("-")).then(|| ("deadline_ms", NO_DEADLINE.into())));
            text.put_stage(name, keys);
        }
    }
    Ok(())
}
