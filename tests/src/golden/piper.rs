//! `piper-s*`: the full joe voice through `rten` against onnxruntime: log-durations, durations, samples.

use std::path::Path;

use anyhow::{Context, Result};
use stages::sink::wav::pcm;
use stages::tts::phonemes::{Dialect, Phonemizer, line};
use stages::tts::voice::{Noise, Scales, Utterance, Voice};

use super::folder::{Tensors, json};
use super::table::Row;

/// Largest difference of a log-duration.
const LOG_DURATION: f64 = 5e-5;
/// Relative RMS of the samples.
const AUDIO: f64 = 1e-4;
/// Largest difference of a sample.
const SAMPLE: f64 = 1e-4;
/// Steps of 16 bits that a sample of `case_pcm` may be off: a rounding, after samples were scaled to full.
const PCM_STEPS: i64 = 8;

pub fn compare(folder: &Path, name: &str) -> Result<Vec<Row>> {
    let files = crate::voice::joe()?;
    let voice = Voice::load("joe", &files.onnx, &files.json)?;
    let mut cases: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    cases.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
    cases.sort();
    let phonemes = json(&folder.join("phonemes.json"))?;
    let meta = json(&folder.join("meta.json"))?;
    let mut rows = Vec::new();
    for path in cases {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let case = stem.trim_start_matches("case_");
        let mut row = Row::new(name, "rten", "f32", case);
        let tensors = Tensors::read(&path)?;
        let compared = match tensors.ints.contains_key("input") {
            true => samples(&voice, &tensors, &mut row),
            false => pcm_of_sentences(&voice, &tensors, &phonemes, &meta, &mut row),
        };
        if let Err(error) = compared {
            row.faults.push(format!("{error:#}"));
        }
        rows.push(row);
    }
    equal_share(name, &phonemes);
    Ok(rows)
}

fn samples(voice: &Voice, tensors: &Tensors, row: &mut Row) -> Result<()> {
    let floats = |name: &str| tensors.floats.get(name).with_context(|| format!("tensor {name} is missing"));
    let ids: Vec<i32> = tensors
        .ints("input")?
        .iter()
        .map(|id| i32::try_from(*id))
        .collect::<Result<_, _>>()?;
    let [noise_scale, length_scale, noise_w] = floats("scales")?[..] else {
        anyhow::bail!("scales are not three numbers");
    };
    let scales = Scales {
        noise_scale,
        length_scale,
        noise_w,
    };
    let noise = match (tensors.floats.get("noise_dp"), tensors.floats.get("noise_z")) {
        (Some(duration), Some(latent)) => Noise::Given {
            duration,
            latent,
            durations: None,
        },
        // Scales of noise are 0 there.
        _ => Noise::Seed(0),
    };
    let found = voice.synthesize(&ids, scales, 0, noise)?;
    let expected: Vec<i64> = match tensors.ints.get("expect.w_ceil") {
        Some(durations) => durations.clone(),
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers")]
        None => floats("expect.w_ceil")?.iter().map(|x| *x as i64).collect(),
    };
    let durations: Vec<i64> = found.durations.iter().map(|x| i64::from(*x)).collect();
    row.equal("durations", &durations, &expected);
    far(row, "logw", &found.log_durations, floats("expect.logw")?, LOG_DURATION);
    let audio = floats("expect.audio")?;
    far(row, "audio, largest", &found.samples, audio, SAMPLE);
    row.close("audio", &found.samples, audio, AUDIO);
    Ok(())
}

/// Holds each value to a largest difference.
fn far(row: &mut Row, name: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    row.n_compared += 1;
    let differences = found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs()));
    let largest = differences.fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
    if found.len() != expected.len() || largest.is_nan() || largest > tolerance {
        row.faults.push(format!(
            "{name}: {} values, expected {}, the largest difference is {largest:.1e}, tolerance {tolerance:.1e}",
            found.len(),
            expected.len()
        ));
    }
}

/// What `piper-tts` makes of a text: each sentence scaled to full, in 16 bits.
fn pcm_of_sentences(
    voice: &Voice,
    tensors: &Tensors,
    phonemes: &serde_json::Value,
    meta: &serde_json::Value,
    row: &mut Row,
) -> Result<()> {
    let text = &meta["pcm"]["text"];
    let items = phonemes["items"].as_array().context("phonemes.json has no items")?;
    let item = items
        .iter()
        .find(|item| item["text"] == *text)
        .context("phonemes.json lacks the text of pcm")?;
    let scales = Scales {
        noise_scale: 0.0,
        length_scale: 1.0,
        noise_w: 0.0,
    };
    for (index, sentence) in item["sentences"].as_array().into_iter().flatten().enumerate() {
        let ids: Vec<i32> = serde_json::from_value(sentence["ids"].clone())?;
        let said: String = serde_json::from_value::<Vec<String>>(sentence["phonemes"].clone())?.concat();
        row.equal("ids", &voice.config.ids(&said).0, &ids);
        let Utterance { samples, .. } = voice.synthesize(&ids, scales, 0, Noise::Seed(0))?;
        let peak = samples.iter().fold(1e-8f32, |peak, x| peak.max(x.abs()));
        let found: Vec<i64> = samples.iter().map(|x| pcm(x / peak).into()).collect();
        let expected = tensors.ints(&format!("expect.pcm16.{index}"))?;
        let largest = found
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .max()
            .unwrap_or(i64::MAX);
        row.n_compared += 1;
        if found.len() != expected.len() || largest > PCM_STEPS {
            row.faults.push(format!(
                "pcm16.{index}: {} samples, expected {}, off by up to {largest}",
                found.len(),
                expected.len()
            ));
        }
    }
    Ok(())
}

/// Prints how much of `phonemes.json` our own phonemes equal; that is not asked.
fn equal_share(name: &str, phonemes: &serde_json::Value) {
    let Ok(phonemizer) = Phonemizer::get() else { return };
    let items = phonemes["items"].as_array().into_iter().flatten();
    let is_equal = items.map(|item| {
        let sentences = item["sentences"].as_array().into_iter().flatten();
        let expected: Vec<String> = sentences
            .map(|sentence| {
                let symbols = sentence["phonemes"].as_array().into_iter().flatten();
                symbols.filter_map(|symbol| symbol.as_str()).collect()
            })
            .collect();
        let text = item["text"].as_str().unwrap_or_default();
        line(&phonemizer.phonemize(text, Dialect::Espeak152)) == expected.join(" ")
    });
    let is_equal: Vec<bool> = is_equal.collect();
    let n_equal = is_equal.iter().filter(|equal| **equal).count();
    println!(
        "{name}: phonemes of {n_equal} of {} texts equal piper-tts's (not asked)",
        is_equal.len()
    );
}
