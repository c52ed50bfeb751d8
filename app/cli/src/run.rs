//! `qwglm run`: any pipeline, from its configuration.

use anyhow::Result;

use crate::args::RunArgs;
use crate::graph_text::GraphText;
use crate::play::{Shown, json_from_packet, play, tap_texts};
use crate::print_line;
use crate::tape::With;

/// Runs a configuration to its end, or until Ctrl-C; says on standard error how it went.
///
/// Errors: bad usage, and those of [`play()`].
pub async fn run(args: RunArgs) -> Result<()> {
    let mut text = GraphText::from_args(&args.config)?;
    if args.json || args.view {
        without_stdout(&mut text);
    }
    let tap = tap_texts(&mut text);
    let notes = [("tap", tap.clone()), ("json", args.json.to_string())];
    let with = With::recording(args.record.as_deref(), &text, &notes)?;
    let shown = Shown {
        trace: args.trace.as_deref(),
        view: args.view,
    };
    let summary = play(&text, &tap, shown, &with, |packet| match json_from_packet(packet) {
        Some(object) if args.json => print_line(&object.to_string()),
        _ => Ok(()),
    })
    .await?;
    if args.json {
        print_line(&summary.json().to_string())?;
    }
    eprintln!("{}", summary.line());
    Ok(())
}

/// Takes out the sinks that would write between what the program itself prints.
pub fn without_stdout(text: &mut GraphText) {
    for sink in text.stages_of(&["sink."]) {
        if text.writes_to_stdout(&sink) {
            text.remove_stage(&sink);
        }
    }
}
