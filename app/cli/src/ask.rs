//! `qwglm ask`: a graph with a chain of stages for each question, all of them behind one picture.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Result, anyhow};
use async_channel::Receiver;
use pipeline::packet::{Body, Packet};
use pipeline::runtime::{Run, RunOptions};
use stages::sink::lines::collapsed;
use toml_edit::{Array, Item, Value};

use crate::args::AskArgs;
use crate::failure::usage;
use crate::graph_text::GraphText;
use crate::play::unless_interrupted;
use crate::setup::{Ready, set_up};
use crate::source::absolute;
use crate::tape::With;
use crate::{print, print_line};

const PICTURES: &str = include_str!("../../../configs/describe.toml");

/// Prints the answers, each a line, in the order of the questions.
///
/// Errors: bad usage; those of the set-up and of the run.
pub async fn ask(args: AskArgs) -> Result<()> {
    let text = unless_interrupted(text(&args)).await?;
    let n_questions = args.questions.len();
    let notes = [("questions", n_questions.to_string())];
    let with = With::recording(args.record.as_deref(), &text, &notes)?;
    let ready = unless_interrupted(set_up(&text, false, &with)).await?;
    with.finish(unless_interrupted(answer(ready, n_questions)).await)
}

async fn text(args: &AskArgs) -> Result<GraphText> {
    if args.questions.iter().any(|question| question.trim().is_empty()) {
        return Err(usage("a question is empty"));
    }
    let mut text = GraphText::bundled("describe.toml", PICTURES);
    let files = text.only_stage("capture.")?;
    let paths = Array::from_iter([absolute(Path::new(&args.image)).to_string_lossy().into_owned()]);
    text.put_stage(&files, [("type", "capture.file".into()), ("path", Value::Array(paths))]);
    let chain = ["chat.", "tokens.encode", "llm.generate", "tokens.decode"];
    let mut links = Vec::new();
    for kind in chain {
        let name = text.only_stage(kind)?;
        links.push((name.clone(), text.stage(&name).cloned().unwrap_or_default()));
    }
    let encode = text.only_stage("vision.encode")?;
    for name in text.stages_of(&["sink."]).iter().chain(links.iter().map(|(name, _)| name)) {
        text.remove_stage(name);
    }
    for (index, question) in args.questions.iter().enumerate() {
        put_chain(&mut text, &links, (index, question), encode.clone());
    }
    text.set_model(&args.model).await?;
    Ok(text)
}

/// The stages of one question, made like those in `links`, behind the stage `from`.
fn put_chain(text: &mut GraphText, links: &[(String, Item)], (index, question): (usize, &str), mut from: String) {
    for (name, stage) in links {
        let mut stage = stage.clone();
        let name = format!("{name}{index}");
        stage["input"] = toml_edit::value(from);
        if stage.get("question").is_some() {
            stage["question"] = toml_edit::value(question);
        }
        text.put_stage_item(&name, stage);
        from = name;
    }
    text.put_stage(&answer_name(index), [("type", "sink.channel".into()), ("input", from.into())]);
}

fn answer_name(index: usize) -> String {
    format!("answer{index}")
}

/// Prints the answers of `n` questions, each a line, in their order.
///
/// Errors: those of the run.
pub async fn answer(ready: Ready, n: usize) -> Result<()> {
    let Ready {
        graph,
        registry,
        clock,
        mut channels,
        recorder,
        script,
        watched,
        ..
    } = ready;
    let answers: Vec<_> = (0..n).filter_map(|index| channels.remove(&answer_name(index))).collect();
    let run = Run::start(
        &graph,
        &registry,
        RunOptions {
            clock,
            recorder,
            script,
            ..RunOptions::default()
        },
    )?;
    drop(registry);
    let is_streaming = n == 1 && std::io::stdout().is_terminal();
    let print_all = async {
        let mut is_whole = true;
        for answer in &answers {
            is_whole &= print_answer(answer, is_streaming).await?;
        }
        anyhow::Ok(is_whole)
    };
    let (ended, printed) = futures::join!(run.join(), print_all);
    ended?;
    for (name, told) in &watched {
        eprintln!("engine {name}: {}", told.text().trim_end());
    }
    if printed? {
        Ok(())
    } else {
        Err(anyhow!("an answer broke off"))
    }
}

/// Prints one answer; whether it came to its end.
async fn print_answer(answer: &Receiver<Packet>, is_streaming: bool) -> Result<bool> {
    while let Ok(packet) = answer.recv().await {
        let Body::Text(text) = packet.body else { continue };
        if text.thought {
            continue;
        }
        if is_streaming {
            print(&text.delta)?;
        }
        if text.finished.is_some() {
            print_line(if is_streaming { String::new() } else { collapsed(&text.text) }.as_str())?;
            return Ok(true);
        }
    }
    Ok(false)
}
