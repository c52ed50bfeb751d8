//! `qwglm replay`: a recorded run again, in no time and without a GPU; or its inputs on another engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use pipeline::record::{REPLAY_TYPE, Tape};

use crate::args::ReplayArgs;
use crate::ask;
use crate::graph_text::GraphText;
use crate::play::{Shown, json_from_packet, play, unless_interrupted};
use crate::print_line;
use crate::run::without_stdout;
use crate::setup::set_up;
use crate::tape::{self, With};

/// Replays a recording to its end; says on standard error how it went.
///
/// Errors: bad usage; those of reading it and of the run; that it ends before its run did, after all that came before.
pub async fn replay(args: ReplayArgs) -> Result<()> {
    let tape = Arc::new(tape::read(&args.recording)?);
    let mut text = text(&tape, &args.recording);
    if let Some(kind) = args.engine_type {
        text.set_engine_type(kind);
    }
    for change in &args.set {
        text.set(change)?;
    }
    let note = |name: &str| tape.start.note(name).unwrap_or_default().to_owned();
    let (json, tap, n_questions) = (args.json || note("json") == "true", note("tap"), note("questions"));
    if args.json || args.view {
        without_stdout(&mut text);
    }
    let with = With::Tape {
        plays_engines: args.engine_type.is_none(),
        tape,
    };
    if let Ok(n) = n_questions.parse() {
        let ready = unless_interrupted(set_up(&text, false, &with)).await?;
        return with.finish(unless_interrupted(ask::answer(ready, n)).await);
    }
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

/// The recorded configuration, its sources replaced by what plays them.
fn text(tape: &Tape, path: &Path) -> GraphText {
    let start = &tape.start;
    let origin = format!("{} (a recording of {})", path.display(), start.origin);
    let mut text = GraphText::recorded(origin, PathBuf::from(&start.base), start.text.clone());
    for source in tape.sources() {
        text.replace_stage(source, REPLAY_TYPE, &["restart", "deadline_ms"]);
    }
    text
}
