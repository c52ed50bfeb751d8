//! `sink.terminal`: which frame, the words as they stream, and how fast they came.

use std::io::{self, IsTerminal};

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, Metric, PacketKind, Text};
use pipeline::registry::{Factory, Registry};
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;

use super::lines::{collapsed, print};

/// The keys of `sink.terminal`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TerminalConfig {
    /// Stream words and use colours; plain lines otherwise. None: if standard output is a terminal.
    pub live: Option<bool>,
}

/// Draws. A restart keeps the line that is open; what was printed stays. An input `stats` from `llm.generate` adds tokens a second.
pub struct Terminal {
    config: TerminalConfig,
}

/// What is on the screen.
#[derive(Clone)]
struct View {
    live: bool,
    /// The answer that a line is open for: its turn.
    open: Option<u64>,
    new_tokens: f64,
    tokens_per_s: f64,
}

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

impl View {
    fn new(live: bool) -> Self {
        Self {
            live,
            open: None,
            new_tokens: 0.0,
            tokens_per_s: 0.0,
        }
    }

    fn metric(&mut self, metric: &Metric) {
        match metric.name {
            "new_tokens" => self.new_tokens = metric.value,
            "tokens_per_s" => self.tokens_per_s = metric.value,
            _ => {}
        }
    }

    /// What a text adds to the screen.
    fn text(&mut self, text: &Text, turn: u64, pts: Timestamp) -> String {
        if !self.live {
            let done = text.finished.is_some() && !text.thought;
            let line = || format!("{}: {}\n", head(text, pts), printable(&collapsed(&text.text)));
            return if done { line() } else { String::new() };
        }
        if text.spoken.is_some() {
            return self.spoken(text, pts);
        }
        let mut out = String::new();
        if self.open.is_some_and(|open| open != turn) {
            out.push_str(" …\n");
            self.open = None;
        }
        if self.open.is_none() {
            out.push_str(&format!("{DIM}{}{PLAIN} ", head(text, pts)));
            self.open = Some(turn);
        }
        let delta = printable(&text.delta);
        match text.thought {
            true => out.push_str(&format!("{DIM}{delta}{PLAIN}")),
            false => out.push_str(&delta),
        }
        if text.finished.is_some() {
            let rate = if self.tokens_per_s > 0.0 {
                format!(" {DIM}({} tokens, {:.0}/s){PLAIN}", self.new_tokens, self.tokens_per_s)
            } else {
                String::new()
            };
            out.push_str(&format!("{rate}\n"));
            (self.open, self.tokens_per_s) = (None, 0.0);
        }
        out
    }

    /// What was heard so far may still change: its end is drawn in place, and all of it once it is certain.
    fn spoken(&mut self, text: &Text, pts: Timestamp) -> String {
        let words = printable(&collapsed(&text.text));
        let (shown, end) = match text.finished {
            Some(_) => (words, "\n"),
            None => (tail(&words), ""),
        };
        self.open = text.finished.is_none().then_some(Turn::ALWAYS);
        format!("{AGAIN}{DIM}{}{PLAIN} {shown}{end}", head(text, pts))
    }

    fn end(&mut self) -> &'static str {
        if self.open.take().is_some() { "\n" } else { "" }
    }
}

/// Characters of a line that is drawn again.
const TAIL: usize = 56;
/// Back to the start of the line, which is empty then.
const AGAIN: &str = "\r\x1b[K";

/// The last words that have room.
fn tail(text: &str) -> String {
    let n_chars = text.chars().count();
    match n_chars > TAIL {
        true => format!("…{}", text.chars().skip(n_chars - TAIL + 1).collect::<String>()),
        false => text.to_owned(),
    }
}

/// `[1.5 s] 003`: the frame's time, and its name or number.
fn head(text: &Text, pts: Timestamp) -> String {
    match &text.about {
        None => format!("[{:.1} s]", pts.as_secs_f64()),
        Some(about) if about.label.is_empty() => format!("[{:.1} s] frame {}", about.pts.as_secs_f64(), about.index),
        Some(about) => format!("[{:.1} s] {}", about.pts.as_secs_f64(), printable(&about.label)),
    }
}

/// A model or a file's name must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

impl Stage for Terminal {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let live = self.config.live;
        let mut view = ctx.kept_or(|| View::new(live.unwrap_or_else(|| io::stdout().is_terminal())));
        while let Some(packet) = ctx.recv().await {
            match &packet.body {
                Body::Metric(metric) => view.metric(metric),
                Body::Text(text) => print(&view.text(text, packet.turn, packet.pts))?,
                _ => {}
            }
            ctx.commit(view.clone());
        }
        print(view.end())
    }
}

pub(super) fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: TerminalConfig, _: &_| Ok(Terminal { config }))
        .input("text", &[PacketKind::Text])
        .optional_input("stats", &[PacketKind::Metric]);
    registry.add("sink.terminal", factory);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pipeline::packet::{Finish, FrameRef};

    use super::*;

    fn text(delta: &str, all: &str, finished: Option<Finish>) -> Text {
        let about = FrameRef {
            index: 3,
            label: "003".into(),
            pts: Timestamp(Duration::from_millis(1500)),
        };
        Text {
            delta: delta.into(),
            text: all.into(),
            about: Some(about),
            thought: false,
            finished,
            spoken: None,
        }
    }

    #[test]
    fn what_was_heard_is_drawn_in_place_until_it_is_certain() {
        let heard = |all: &str, finished| Text {
            spoken: Some(pipeline::packet::Spoken::default()),
            ..text("", all, finished)
        };
        let mut view = View::new(true);
        let mut show = |text: Text| view.text(&text, Turn::ALWAYS, Timestamp::default());
        let first = show(heard("recognise", None));
        assert!(first.starts_with("\r\x1b[K") && first.ends_with(" recognise"), "{first:?}");
        let long = show(heard(&"wreck a nice beach ".repeat(9), None));
        assert!(
            long.contains(" …") && long.ends_with("nice beach") && !long.contains('\n'),
            "{long:?}"
        );
        let last = show(heard("recognise speech", Some(Finish::Stop)));
        assert!(
            last.starts_with("\r\x1b[K") && last.ends_with(" recognise speech\n"),
            "{last:?}"
        );
        assert_eq!(view.end(), "");
    }

    #[test]
    fn plain_lines_come_when_an_answer_is_finished() {
        let mut view = View::new(false);
        assert_eq!(view.text(&text("A", "A", None), 0, Timestamp::default()), "");
        let last = text("\nb\x1b[2J", "A\nb\x1b[2J", Some(Finish::Stop));
        assert_eq!(view.text(&last, 0, Timestamp::default()), "[1.5 s] 003: A b\u{fffd}[2J\n");
        assert_eq!(view.end(), "");
    }

    #[test]
    fn live_words_stream_and_end_with_the_rate() {
        let mut view = View::new(true);
        let now = Timestamp::default();
        assert_eq!(view.text(&text("A", "A", None), 0, now), "\x1b[2m[1.5 s] 003\x1b[0m A");
        assert_eq!(view.text(&text(" b", "A b", None), 0, now), " b");
        view.metric(&Metric {
            of: "g".into(),
            name: "new_tokens",
            value: 12.0,
        });
        view.metric(&Metric {
            of: "g".into(),
            name: "tokens_per_s",
            value: 80.4,
        });
        let end = view.text(&text("", "A b", Some(Finish::Stop)), 0, now);
        assert_eq!(end, " \x1b[2m(12 tokens, 80/s)\x1b[0m\n");
        view.text(&text("A", "A", None), 0, now);
        assert!(
            view.text(&text("B", "B", None), 1, now).starts_with(" …\n"),
            "a cancelled answer is cut off"
        );
        assert_eq!(view.end(), "\n");
    }
}
