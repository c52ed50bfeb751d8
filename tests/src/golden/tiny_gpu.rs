//! tiny-gpu against traces of the RTL itself: every state, register, memory access and the number of cycles.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use sim::tiny_gpu::trace::Recorder;
use sim::tiny_gpu::{Config, Features, Machine};

use super::table::Row;

/// The layout of the files.
const FORMAT: &str = "tiny-gpu-golden-1";

#[derive(Deserialize)]
struct Golden {
    name: String,
    rtl: String,
    config: Shape,
    threads: usize,
    program: Vec<u16>,
    data_in: Vec<u8>,
    max_cycles: u64,
    done: bool,
    cycles: u64,
    data_out: Vec<u8>,
    trace: Value,
}

#[derive(Deserialize)]
struct Shape {
    cores: usize,
    threads_per_block: usize,
    data_channels: usize,
    program_channels: usize,
}

/// The traces of a folder and of the folders in it, by name; empty if it is none of tiny-gpu's.
pub fn traces(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(traces(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "json") && is_trace(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file says so, wherever in it: keys have no order.
fn is_trace(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains(FORMAT))
}

/// A row a trace.
pub fn compare(files: &[PathBuf], folder: &str) -> Vec<Row> {
    let row = |file: &PathBuf| {
        let name = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        play(file, folder).unwrap_or_else(|error| Row::failed(folder, "tiny-gpu", "-", &name, format!("{error:#}")))
    };
    files.iter().map(row).collect()
}

fn play(file: &Path, folder: &str) -> Result<Row> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let golden: Golden = serde_json::from_str(&text).with_context(|| format!("{} is not as traces are", file.display()))?;
    let pc_from_first_lane = match golden.rtl.as_str() {
        "upstream" => false,
        "pc_from_thread_0" => true,
        other => bail!("the RTL {other} is not known"),
    };
    let config = Config {
        cores: golden.config.cores,
        threads_per_block: golden.config.threads_per_block,
        data_channels: golden.config.data_channels,
        program_channels: golden.config.program_channels,
        features: Features {
            pc_from_first_lane,
            ..Features::default()
        },
        ..Config::default()
    };
    let mut machine = Machine::new(&config, &golden.program, &golden.data_in, golden.threads)?;
    let trace = Recorder::new(&machine).run(&mut machine, golden.max_cycles);
    let mut row = Row::new(folder, "tiny-gpu", "-", &golden.name);
    row.equal("done", &machine.is_done(), &golden.done);
    row.equal("cycles", &machine.cycles(), &golden.cycles);
    row.equal("data_out", &machine.data().to_vec(), &golden.data_out);
    hold(&mut row, "trace", &serde_json::to_value(&trace)?, &golden.trace);
    Ok(row)
}

/// Holds a value to another, list by list, so that a fault names where it is.
fn hold(row: &mut Row, name: &str, found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Object(found_keys), Value::Object(keys)) => {
            row.equal(
                &format!("{name}: keys"),
                &found_keys.keys().collect::<Vec<_>>(),
                &keys.keys().collect::<Vec<_>>(),
            );
            for (key, expected) in keys {
                hold(row, &format!("{name}.{key}"), &found[key], expected);
            }
        }
        (Value::Array(found), Value::Array(expected))
            if expected.first().is_some_and(|first| first.is_object() || first.is_string()) =>
        {
            row.equal(&format!("{name}: length"), &found.len(), &expected.len());
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                hold(row, &format!("{name}[{i}]"), found, expected);
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            let first = found.iter().zip(expected).position(|(a, b)| a != b);
            let at = first.unwrap_or(found.len().min(expected.len()));
            row.equal(&format!("{name}[{at}]"), &found.get(at), &expected.get(at));
        }
        _ => row.equal(name, found, expected),
    }
}
