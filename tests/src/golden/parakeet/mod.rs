//! Folders `parakeet-tdt-s*`: sound, features, every block of the encoder, and the transducer's steps of a tiny checkpoint,
//! as NeMo stores it and as transformers does.

mod run;
mod stated;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::engine::Engine;
use gpu::engine::wgpu::WgpuEngine;
use gpu::model::parakeet::config::Config;
use gpu::model::parakeet::runner::Runner;
use gpu::model::parakeet::{FrontEnd, load};
use gpu::protocol::Quant;
use gpu::weights::source::{Folder, Source, Tar};
use serde_json::Value;
use stages::stt::mel::{LogMel, Mel, emphasised, normalise};
use stages::stt::pieces::Pieces;

use super::Scope;
use super::folder::{Tensors, json};
use super::table::Row;
use crate::{Kernels, mixed, shadow, sim_engine, wgpu_engine};

const NEMO: &str = "tiny.nemo";
const GUARD: &str = "decode_guard.safetensors";
/// Tolerance of `reference/README.md`.
const FEATURES: f64 = 1e-5;

/// A row's kind: how weights are stored, what the encoder and what follows it are held to.
#[derive(Clone, Copy)]
struct Precision {
    name: &'static str,
    quant: Quant,
    encoder: f64,
    /// The joint network's outputs are differences of sums: as the logits of a language model.
    decoder: f64,
}

const F32: Precision = Precision {
    name: "f32",
    quant: Quant::DenseF32,
    encoder: 3e-6,
    decoder: 1e-5,
};
const F16: Precision = Precision {
    name: "f16",
    quant: Quant::DenseF16,
    encoder: 4e-3,
    decoder: 8e-3,
};

/// A case after our own front end.
struct Case {
    name: String,
    features: Vec<f32>,
    expected: Tensors,
}

/// All rows of a folder.
pub fn compare(folder: &Path, name: &str, scope: Scope) -> Result<Vec<Row>> {
    let meta = json(&folder.join("meta.json"))?;
    let nemo: Arc<dyn Source> = Arc::new(block_on(Tar::open(Arc::new(Folder::open(folder)?), NEMO))?);
    let plain: Arc<dyn Source> = Arc::new(Folder::open(folder)?);
    let mut row = Row::new(name, "-", "-", "files");
    let (config, pieces) = stated::files(folder, &meta, &nemo, &plain, &mut row)?;
    let front_end = stated::front_end(&nemo, &config, &mut row)?;
    let mut rows = vec![row];
    let mut cases = Vec::new();
    for case in meta["cases"].as_object().context("meta.json has no cases")?.keys() {
        let mut row = Row::new(name, "stages", "f32", case);
        match read_case(folder, case, &meta["cases"][case], &front_end, &pieces, &mut row) {
            Ok(case) => cases.push(case),
            Err(error) => row.faults.push(format!("{error:#}")),
        }
        rows.push(row);
    }
    let guard = Tensors::read(&folder.join(GUARD))?;
    let precisions = if scope == Scope::SimF32 { &[F32][..] } else { &[F32, F16] };
    for (format, source) in [(".nemo", nemo), ("safetensors", plain)] {
        for &precision in precisions {
            let what = format!("{} {format}", precision.name);
            let inputs = (&source, precision, cases.as_slice(), &guard, &meta);
            let on_wgpu = |label, on: &dyn Fn(WgpuEngine) -> Vec<Row>| match wgpu_engine() {
                Ok(engine) => on(engine),
                Err(error) => vec![Row::failed(name, label, &what, "-", format!("{error:#}"))],
            };
            if scope == Scope::Hybrid {
                rows.extend(on_engine(
                    mixed(sim_engine(Kernels::Fast)).0,
                    inputs,
                    [name, "mixed, sim", &what],
                ));
                let on_mixed = |engine| on_engine(mixed(engine).0, inputs, [name, "mixed", &what]);
                rows.extend(on_wgpu("mixed", &on_mixed));
                let on_shadow = |engine| on_engine(shadow(engine).0, inputs, [name, "shadow", &what]);
                rows.extend(on_wgpu("shadow", &on_shadow));
                continue;
            }
            rows.extend(on_engine(sim_engine(Kernels::Fast), inputs, [name, "sim", &what]));
            if scope == Scope::All {
                rows.extend(on_wgpu("wgpu", &|engine| on_engine(engine, inputs, [name, "wgpu", &what])));
            }
        }
    }
    Ok(rows)
}

type Inputs<'a> = (&'a Arc<dyn Source>, Precision, &'a [Case], &'a Tensors, &'a Value);

fn on_engine<E: Engine>(mut engine: E, inputs: Inputs<'_>, [folder, on, what]: [&str; 3]) -> Vec<Row> {
    let (source, precision, cases, guard, meta) = inputs;
    let loaded = block_on(load::load(&mut engine, source.clone(), precision.quant, None))
        .and_then(|model| Runner::new(&mut engine, model, 1024, true));
    let mut runner = match loaded {
        Ok(runner) => runner,
        Err(error) => return vec![Row::failed(folder, on, what, "-", error.to_string())],
    };
    let mut rows = Vec::new();
    for case in cases {
        let mut row = Row::new(folder, on, what, &case.name);
        if let Err(error) = run::case(&mut engine, &mut runner, case, precision, &mut row) {
            row.faults.push(format!("{error:#}"));
        }
        rows.push(row);
    }
    // Its margins are below what f16 moves.
    if precision.quant == Quant::DenseF32 {
        let mut row = Row::new(folder, on, what, "decode_guard");
        if let Err(error) = run::guard(&mut engine, &runner, guard, &meta["guard"], &mut row) {
            row.faults.push(format!("{error:#}"));
        }
        rows.push(row);
    }
    rows
}

/// The sound's features by our front end, held to the reference's.
fn read_case(folder: &Path, name: &str, meta: &Value, front_end: &FrontEnd, pieces: &Pieces, row: &mut Row) -> Result<Case> {
    let expected = Tensors::read(&folder.join(format!("case_{name}.safetensors")))?;
    let samples: Vec<f32> = expected.ints("audio_i16")?.iter().map(|&x| x as f32 / 32768.0).collect();
    let [_, n_mels] = expected.shape("expect.features")?;
    let mut log_mel = LogMel::new(Arc::new(Mel::new(n_mels, front_end)));
    let mut all = log_mel.push(&samples);
    all.extend(log_mel.finish_all());
    let n_frames = samples.len() / 160;
    let mut features = all[..n_frames * n_mels].to_vec();
    normalise(&mut features, n_mels);
    let mut padded = features.clone();
    padded.resize(all.len(), 0.0);
    row.close("features", &padded, expected.floats("expect.features")?, FEATURES);
    if let Some(expected) = expected.floats.get("expect.logmel") {
        row.close("logmel", &all, expected, FEATURES);
    }
    if let Some(expected) = expected.floats.get("expect.preemph") {
        let before = std::iter::once(None).chain(samples.iter().map(|&sample| Some(sample)));
        let found: Vec<f32> = samples
            .iter()
            .zip(before)
            .map(|(&sample, before)| emphasised(sample, before))
            .collect();
        row.close("preemph", &found, expected, FEATURES);
    }
    let n_enc = n_frames.div_ceil(8);
    row.equal("n_frames", expected.ints("expect.n_frames")?, &vec![n_frames as i64]);
    row.equal("n_enc", expected.ints("expect.n_enc")?, &vec![n_enc as i64]);
    let n_total = all.len() / n_mels;
    for (key, found) in [
        ("samples", samples.len()),
        ("mel_frames_total", n_total),
        ("mel_frames_valid", n_frames),
        ("enc_frames_total", n_total.div_ceil(8)),
        ("enc_frames_valid", n_enc),
    ] {
        row.equal(&format!("meta.json's {key}"), &Some(found as u64), &meta[key].as_u64());
    }
    let tokens = expected.ints("expect.tokens")?;
    let stated: Option<Vec<i64>> = meta["tokens"]
        .as_array()
        .map(|ids| ids.iter().filter_map(Value::as_i64).collect());
    row.equal("meta.json's tokens", &Some(tokens.clone()), &stated);
    let ids: Vec<u32> = tokens.iter().map(|&id| id as u32).collect();
    row.equal("meta.json's text", &Some(pieces.text(&ids).as_str()), &meta["text"].as_str());
    Ok(Case {
        name: name.to_owned(),
        features,
        expected,
    })
}

/// Both spellings of the configuration, which have to say the same.
async fn configs(nemo: &dyn Source, plain: &dyn Source) -> Result<(Config, Config)> {
    Ok((load::config(nemo).await?.0, load::config(plain).await?.0))
}
