//! Plays what `setup.rs` made ready: Ctrl-C, warnings, words and counters while it runs, the trace and a summary after it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use async_channel::Receiver;
use futures::future::{Either, select};
use pipeline::events::Events;
use pipeline::packet::{Body, Event, Packet};
use pipeline::runtime::{Report, Run, RunHandle, RunOptions};
use pipeline::time::Timestamp;

use crate::failure::Interrupted;
use crate::graph_text::GraphText;
use crate::hybrid::Watched;
use crate::setup::{self, Ready};
use crate::tape::With;
use crate::view::{self, View, held};
use crate::waterfall::{Waterfall, mean, waterfalls_from_trace};

/// How long an answer that is under way may take to end after Ctrl-C, before it is cancelled.
const GRACE: Duration = Duration::from_secs(4);

const STOPPING: &str = "stopping; again to end at once";

/// What a run did, for its last line.
#[derive(Debug, Default)]
pub struct Summary {
    pub frames: u64,
    pub narrations: u64,
    pub new_tokens: f64,
    decode_s: f64,
    /// Since the run began, models loaded.
    pub first_word: Option<Duration>,
    /// How often stages were started again, by stage.
    pub restarts: Vec<(String, u64)>,
    pub elapsed: Duration,
    pub loaded_in: Duration,
    pub adapters: String,
    /// What hybrid engines tell, by name.
    pub watched: BTreeMap<String, Watched>,
    /// The mean of the answers, if the run was traced.
    pub waterfall: Option<Waterfall>,
}

/// Adds a stage that hands all texts of the graph to the program; gives its name.
pub fn tap_texts(text: &mut GraphText) -> String {
    let taken: Vec<String> = text.stages().into_iter().map(|(name, _)| name).collect();
    let mut name = "program".to_owned();
    while taken.contains(&name) {
        name.push('_');
    }
    let mut texts = text.stages_of(&["tokens.decode"]);
    if texts.is_empty() {
        texts = text.stages_of(&["stt."]);
    }
    if !texts.is_empty() {
        let input = toml_edit::Array::from_iter(texts);
        text.put_stage(
            &name,
            [("type", "sink.channel".into()), ("input", toml_edit::Value::Array(input))],
        );
    }
    name
}

/// What is shown and kept of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// Where its trace goes.
    pub trace: Option<&'a Path>,
    /// The graph at work is drawn on the terminal; nothing else may write to standard output.
    pub view: bool,
}

/// Sets a text up and plays it to its end, or until Ctrl-C. `hear` gets each packet of the stage `tap`: see
/// [`tap_texts`].
///
/// Errors: a view without a terminal; those of the set-up; the first failure of a stage, after the others ended; a trace
/// that cannot be written.
pub async fn play(
    text: &GraphText,
    tap: &str,
    shown: Shown<'_>,
    with: &With,
    hear: impl FnMut(&Packet) -> Result<()>,
) -> Result<Summary> {
    // Found out before the work, not after it.
    if shown.view {
        view::require_terminal()?;
    }
    let trace_file = shown.trace;
    let trace_failed = || {
        format!(
            "the trace {} cannot be written",
            trace_file.unwrap_or(Path::new("")).display()
        )
    };
    let trace_out = trace_file.map(File::create).transpose().with_context(trace_failed)?;
    // A trace takes memory as long as the run goes on: only who asks has one.
    let has_trace = trace_file.is_some() || tracing::enabled!(tracing::Level::DEBUG);
    let mut ready = unless_interrupted(setup::set_up(text, has_trace, with)).await?;
    let tap = ready.channels.remove(tap);
    let graph = ready.graph.clone();
    let trace = ready.trace.clone();
    let played = with.finish(play_ready(ready, tap, shown.view, hear).await);
    if !has_trace {
        return played;
    }
    let trace = trace.to_json();
    if let Some(mut out) = trace_out {
        out.write_all(trace.as_bytes()).with_context(trace_failed)?;
    }
    let waterfalls = waterfalls_from_trace(&trace, &graph);
    for waterfall in &waterfalls {
        tracing::debug!(pts_ms = waterfall.pts_ms, "answer: {}", waterfall.line());
    }
    let waterfall = mean(&waterfalls);
    played.map(|summary| Summary { waterfall, ..summary })
}

/// What `work` gives, or [`Interrupted`] at Ctrl-C: for work whose half is worth nothing.
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match select(std::pin::pin!(work), std::pin::pin!(interrupt())).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Interrupted.into()),
    }
}

async fn play_ready(
    ready: Ready,
    tap: Option<Receiver<Packet>>,
    has_view: bool,
    mut hear: impl FnMut(&Packet) -> Result<()>,
) -> Result<Summary> {
    let Ready {
        graph,
        registry,
        clock,
        trace,
        channels,
        adapters,
        watched,
        recorder,
        script,
    } = ready;
    let mut summary = Summary {
        loaded_in: clock.now().0,
        ..Summary::default()
    };
    summary.adapters = adapters.into_values().collect::<Vec<_>>().join(", ");
    // A graph's own channels are for programs that embed it; here nobody listens.
    drop(channels);
    let options = RunOptions {
        clock: clock.clone(),
        trace,
        recorder,
        script,
        ..RunOptions::default()
    };
    let run = Run::start(&graph, &registry, options)?;
    // Its stages hold the engines; those end with the last of them.
    drop(registry);
    let started = clock.now();
    let (events, handle) = (run.events(), run.handle().clone());
    let open = || View::open(&graph, handle.clone(), watched.values().cloned().collect());
    let view = has_view.then(open).transpose()?;
    let view = view.as_ref();
    let numbers = hear_events(events, view);
    let words = async {
        let mut heard = Ok(());
        let (mut narrations, mut first_word) = (0, None);
        while let Some(packet) = recv(tap.as_ref()).await {
            if let Body::Text(text) = &packet.body {
                if first_word.is_none() && !text.text.is_empty() {
                    first_word = Some(clock.now().since(started));
                }
                narrations += u64::from(text.finished.is_some() && !text.thought);
            }
            if let Some(view) = view {
                view.hear(&packet);
            }
            if heard.is_ok() {
                heard = hear(&packet);
                if heard.is_err() {
                    handle.stop();
                }
            }
        }
        (heard, narrations, first_word)
    };
    let interrupted = stop_at_interrupt(handle.clone(), view);
    // In virtual time it stands while a packet is heard.
    let all = futures::future::join3(run.join(), numbers, clock.track(words));
    let (result, (new_tokens, decode_s), (heard, narrations, first_word)) =
        match select(std::pin::pin!(all), std::pin::pin!(interrupted)).await {
            Either::Left((ended, _)) => ended,
            Either::Right((interrupted, _)) => return Err(interrupted.into()),
        };
    let report = result?;
    heard?;
    summary.frames = frames(&graph, &report);
    let restarts = report.stages.iter().map(|stage| (stage.name.clone(), stage.restarts));
    summary.restarts = restarts.filter(|(_, n)| *n > 0).collect();
    summary.elapsed = clock.now().since(started);
    Ok(Summary {
        narrations,
        first_word,
        new_tokens,
        decode_s,
        watched,
        ..summary
    })
}

async fn recv(tap: Option<&Receiver<Packet>>) -> Option<Packet> {
    tap?.recv().await.ok()
}

/// What the sources sent.
fn frames(graph: &pipeline::graph::Graph, report: &Report) -> u64 {
    let is_source = |index: usize| !graph.links().iter().any(|link| link.to == index);
    report
        .stages
        .iter()
        .enumerate()
        .filter(|(index, _)| is_source(*index))
        .map(|(_, stage)| stage.sent)
        .sum()
}

/// Prints warnings and adds up what `llm.generate` tells: tokens, and seconds of decoding.
async fn hear_events(events: Events, view: Option<&View>) -> (f64, f64) {
    let (mut new_tokens, mut decode_s, mut last) = (0.0, 0.0, 0.0);
    while let Some(packet) = events.recv().await {
        if let Some(view) = view {
            view.note(&packet);
        }
        match packet.body {
            Body::Event(Event::Warning { stage, message }) => held::note(&format!("warning: {stage}: {message}")),
            Body::Metric(metric) => match metric.name {
                "new_tokens" => {
                    last = metric.value;
                    new_tokens += metric.value;
                }
                "tokens_per_s" if metric.value > 0.0 => decode_s += last / metric.value,
                _ => {}
            },
            _ => {}
        }
    }
    (new_tokens, decode_s)
}

/// Ends the run at the first Ctrl-C (or request to terminate), together with what is under way unless that takes long.
/// Gives [`Interrupted`] at the second.
async fn stop_at_interrupt(handle: RunHandle, view: Option<&View>) -> Interrupted {
    interrupt_in(view).await;
    held::note(STOPPING);
    if let Some(view) = view {
        view.say(STOPPING);
    }
    handle.stop();
    let grace = std::pin::pin!(tokio::time::sleep(GRACE));
    if let Either::Right(_) = select(std::pin::pin!(interrupt_in(view)), grace).await {
        handle.next_turn();
        interrupt_in(view).await;
    }
    Interrupted
}

/// A signal, or a key in the view.
async fn interrupt_in(view: Option<&View>) {
    let key = async {
        match view {
            Some(view) => view.interrupted().await,
            None => std::future::pending().await,
        }
    };
    select(std::pin::pin!(interrupt()), std::pin::pin!(key)).await;
}

#[cfg(unix)]
async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            let asked = std::pin::pin!(terminate.recv());
            select(std::pin::pin!(ctrl_c()), asked).await;
        }
        Err(_) => ctrl_c().await,
    }
}

#[cfg(not(unix))]
async fn interrupt() {
    ctrl_c().await;
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // It cannot be listened to: then the system's own way ends the program.
        std::future::pending::<()>().await;
    }
}

impl Summary {
    /// `34 frames, 6 narrations, 210 tokens at 310/s; first word after 0.4 s, 3.2 s in all, loaded in 0.1 s; on llvmpipe`
    pub fn line(&self) -> String {
        let Self {
            frames,
            narrations,
            new_tokens,
            ..
        } = self;
        let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
        let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let mut line = format!("{}, {}", plural(*frames, "frame"), plural(*narrations, "narration"));
        if let Some(rate) = self.tokens_per_s() {
            line.push_str(&format!(", {new_tokens:.0} tokens at {rate:.0}/s"));
        }
        line.push_str("; ");
        if let Some(first_word) = self.first_word {
            line.push_str(&format!("first word after {}, ", seconds(first_word)));
        }
        line.push_str(&format!(
            "{} in all, loaded in {}",
            seconds(self.elapsed),
            seconds(self.loaded_in)
        ));
        if !self.adapters.is_empty() {
            line.push_str(&format!("; on {}", self.adapters));
        }
        if !self.restarts.is_empty() {
            let stages: Vec<_> = self.restarts.iter().map(|(name, n)| format!("{name} {n}×")).collect();
            line.push_str(&format!("; restarted: {}", stages.join(", ")));
        }
        if let Some(waterfall) = &self.waterfall {
            line.push_str(&format!("\nan answer: {}", waterfall.line()));
        }
        for (name, watched) in &self.watched {
            line.push_str(&format!("\n\nengine {name}: {}", watched.text().trim_end()));
        }
        line
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "type": "summary",
            "frames": self.frames,
            "narrations": self.narrations,
            "tokens": self.new_tokens as u64,
            "tokens_per_s": self.tokens_per_s(),
            "first_word_s": self.first_word.map(|duration| duration.as_secs_f64()),
            "elapsed_s": self.elapsed.as_secs_f64(),
            "restarts": self.restarts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "load_s": self.loaded_in.as_secs_f64(),
            "engine": self.adapters,
            "hybrid": self.watched.iter().map(|(name, watched)| (name, watched.json())).collect::<BTreeMap<_, _>>(),
            "waterfall_ms": self.waterfall.as_ref().map(Waterfall::json),
        })
    }

    fn tokens_per_s(&self) -> Option<f64> {
        (self.decode_s > 0.0).then(|| self.new_tokens / self.decode_s)
    }
}

/// A finished text as an object for `--json`; nothing for what is still under way.
pub fn json_from_packet(packet: &Packet) -> Option<serde_json::Value> {
    let Body::Text(text) = &packet.body else { return None };
    let finished = text.finished.filter(|_| !text.thought)?;
    let about = text.about.as_ref();
    let seconds = |time: Timestamp| time.as_secs_f64();
    Some(serde_json::json!({
        "type": "text",
        "frame": about.map(|about| about.index),
        "label": about.map(|about| &*about.label),
        "pts_s": about.map(|about| seconds(about.pts)),
        "text": text.text.trim(),
        "finished": finished,
    }))
}
