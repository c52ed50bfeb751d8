//! Folders `qwen-text-s*`: the real tokenizer, rendered conversations, and the integer rules of preprocessing.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use stages::tokens::bpe::Bpe;
use stages::tokens::chat_template::{ChatOptions, ChatTemplate, Edition};
use stages::vision::resize::{PixelLimits, Size, image_size, video_size};
use stages::vision::video::{Sampling, pair_times_s, sample_frames, timestamp_text};

use super::folder::json;
use super::table::Row;
use crate::tokenizer;

/// A row a table; each stands for hundreds of equalities.
pub fn compare(folder: &Path, name: &str) -> Result<Vec<Row>> {
    let bpe = tokenizer::qwen3().and_then(|bytes| Ok(Bpe::from_json(&bytes)?));
    let with_tokenizer = |case: &'static str, check: fn(&Value, &Bpe, &mut Row) -> Result<()>| {
        row(folder, name, case, |value, row| match &bpe {
            Ok(bpe) => check(value, bpe, row),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        })
    };
    Ok(vec![
        with_tokenizer("tokens", tokens),
        with_tokenizer("chat", chats),
        row(folder, name, "preproc", preproc),
    ])
}

fn row(folder: &Path, name: &str, case: &str, check: impl FnOnce(&Value, &mut Row) -> Result<()>) -> Row {
    let mut row = Row::new(name, "stages", "-", case);
    let checked = json(&folder.join(format!("{case}.json"))).and_then(|value| check(&value, &mut row));
    if let Err(error) = checked {
        row.faults.push(format!("{error:#}"));
    }
    row
}

fn tokens(value: &Value, bpe: &Bpe, row: &mut Row) -> Result<()> {
    for item in array(value, "items")? {
        let text = string(item, "text")?;
        row.equal(
            &format!("ids of {text:?}"),
            &bpe.ids_from_template(text)?,
            &ids(&item["ids"])?,
        );
        row.equal(
            &format!("text of {text:?}"),
            &bpe.text_from_ids(&ids(&item["ids"])?, false).as_str(),
            &string(item, "decoded")?,
        );
    }
    Ok(())
}

fn chats(value: &Value, bpe: &Bpe, row: &mut Row) -> Result<()> {
    for chat in value.as_array().context("chat.json is no list")? {
        let edition = if chat["template"] == "thinking" {
            Edition::Thinking
        } else {
            Edition::Instruct
        };
        let name = format!("{} {}", chat["template"], chat["name"]);
        let options = ChatOptions {
            add_generation_prompt: chat["options"]["add_generation_prompt"]
                .as_bool()
                .context("no add_generation_prompt")?,
            add_vision_id: chat["options"]["add_vision_id"].as_bool().unwrap_or(false),
            tools: chat["options"]["tools"].as_array().cloned().unwrap_or_default(),
            ..ChatOptions::default()
        };
        // The goldens' messages are trusted: the reference matches added tokens in them.
        let rendered = ChatTemplate::builtin(edition)?.render(array(chat, "messages")?, &options, Vec::new())?;
        row.equal(&name, &rendered.text().as_str(), &string(chat, "rendered")?);
        row.equal(
            &format!("ids of {name}"),
            &bpe.ids_from_rendered(&rendered)?,
            &ids(&chat["ids"])?,
        );
    }
    Ok(())
}

fn preproc(value: &Value, row: &mut Row) -> Result<()> {
    for kind in ["image", "video"] {
        for entry in array(value, kind)? {
            let from = Size {
                height: integer(entry, "h")?,
                width: integer(entry, "w")?,
            };
            let limits = PixelLimits {
                min_pixels: integer(entry, "min")?.into(),
                max_pixels: integer(entry, "max")?.into(),
            };
            let to = if kind == "image" {
                image_size(from, limits)?
            } else {
                video_size(from, integer(entry, "t")?, limits)?
            };
            row.equal(&format!("{kind} {entry}"), &vec![to.height, to.width], &ids(&entry["out"])?);
        }
    }
    for entry in array(value, "sampling")? {
        let number = |key: &str| entry[key].as_f64().with_context(|| format!("no {key}"));
        let sampling = Sampling {
            fps: number("sample_fps")?,
            min_frames: integer(entry, "min_frames")? as usize,
            max_frames: integer(entry, "max_frames")? as usize,
        };
        let found = sample_frames(integer(entry, "total")? as usize, number("fps")?, sampling);
        let label = format!("sampling of {} at {}", entry["total"], entry["fps"]);
        row.equal(&label, &found.len(), &(integer(entry, "count")? as usize));
        let expected = |key: &str| -> Result<Vec<usize>> { Ok(ids(&entry[key])?.into_iter().map(|i| i as usize).collect()) };
        row.equal(&label, &found[..8.min(found.len())].to_vec(), &expected("first")?);
        row.equal(&label, &found[found.len().saturating_sub(8)..].to_vec(), &expected("last")?);
        if !entry["indices"].is_null() {
            row.equal(&label, &found, &expected("indices")?);
        }
    }
    for entry in array(value, "timestamps")? {
        let indices: Vec<usize> = ids(&entry["indices"])?.into_iter().map(|i| i as usize).collect();
        let fps = entry["fps"].as_f64().context("no fps")?;
        let found: Vec<String> = pair_times_s(&indices, fps).into_iter().map(timestamp_text).collect();
        let expected: Vec<String> = array(entry, "strings")?
            .iter()
            .filter_map(|text| text.as_str().map(String::from))
            .collect();
        row.equal(&format!("timestamps at {fps}"), &found, &expected);
    }
    Ok(())
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("no list {key}"))
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("no text {key}"))
}

fn integer(value: &Value, key: &str) -> Result<u32> {
    value[key]
        .as_u64()
        .and_then(|n| n.try_into().ok())
        .with_context(|| format!("no integer {key}"))
}

fn ids(value: &Value) -> Result<Vec<u32>> {
    let list = value.as_array().context("no list of integers")?;
    list.iter()
        .map(|id| id.as_u64().and_then(|id| id.try_into().ok()).context("not an integer"))
        .collect()
}
