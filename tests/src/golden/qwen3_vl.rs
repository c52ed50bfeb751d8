//! Folders `qwen3-vl-s*`: media, prompts, positions, every layer, logits and greedy tokens of a tiny checkpoint.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::engine::Engine;
use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::load;
use gpu::model::qwen3_vl::mrope::{self, Positions};
use gpu::model::qwen3_vl::runner::Runner;
use gpu::protocol::{LoadOptions, Quant};
use gpu::weights::source::{Folder, Source};
use serde_json::Value;
use stages::tokens::bpe::Bpe;
use stages::tokens::media::{Medium as PromptMedium, expand};
use stages::tokens::rendered::Rendered;

use super::Scope;
use super::dequantised;
use super::folder::{Tensors, json};
use super::forward::{self, Inputs, Outputs};
use super::media::{self, Medium};
use super::stated;
use super::table::Row;
use crate::{Kernels, mixed, shadow, sim_engine, wgpu_engine, wgpu_engine_decoding_as_gpu};

const CASES: [&str; 5] = ["text", "image", "two_images", "video", "mixed"];
const CONTEXT_TOKENS: usize = 256;

/// Tolerances of `reference/README.md`: of the vision tower and of the language model.
#[derive(Clone, Copy)]
struct Tolerance {
    vision: f64,
    text: f64,
}

/// Patch vectors are `(u8 − 127.5) / 127.5`: a rounding or two.
const PIXELS: f64 = 1e-6;
const F32: Tolerance = Tolerance {
    vision: 5e-6,
    text: 1e-5,
};
const F16: Tolerance = Tolerance {
    vision: 2e-3,
    text: 5e-3,
};

/// A row's kind: how weights and cache are stored, what the result is held to.
#[derive(Clone, Copy)]
struct Precision {
    name: &'static str,
    quant: Quant,
    kv_f16: bool,
    tolerance: Tolerance,
}

const PRECISIONS: [Precision; 4] = [
    Precision {
        name: "f32",
        quant: Quant::DenseF32,
        kv_f16: false,
        tolerance: F32,
    },
    Precision {
        name: "f16",
        quant: Quant::DenseF16,
        kv_f16: true,
        tolerance: F16,
    },
    Precision {
        name: "q8",
        quant: Quant::Q8,
        kv_f16: true,
        tolerance: F16,
    },
    Precision {
        name: "q4",
        quant: Quant::Q4,
        kv_f16: true,
        tolerance: F16,
    },
];

/// A case after our own tokenisation and position rules.
struct Case {
    name: &'static str,
    ids: Vec<u32>,
    positions: Positions,
    /// Key of the medium, and the first pads of its passes.
    media: Vec<(String, Vec<usize>)>,
    /// Patch vectors of the case's images and videos, where the folder has them.
    pixel_values: BTreeMap<&'static str, Vec<f32>>,
    expected: Tensors,
}

/// All rows of a folder.
pub fn compare(folder: &Path, name: &str, scope: Scope) -> Result<Vec<Row>> {
    let precisions = match scope {
        Scope::All | Scope::Hybrid => &PRECISIONS[..],
        Scope::SimF32 => &PRECISIONS[..1],
    };
    let meta = json(&folder.join("meta.json"))?;
    let video = |key: &str| {
        meta["video"][key]
            .as_f64()
            .with_context(|| format!("meta.json has no video.{key}"))
    };
    let (media, media_row) = media::prepare(folder, name, video("fps")?, video("sample_fps")?)?;
    let config = Config::from_json(&std::fs::read_to_string(folder.join("config.json"))?)?;
    let mut rows = vec![media_row];
    let mut cases = Vec::new();
    for case in CASES {
        let mut row = Row::new(name, "stages", "-", case);
        match read_case(folder, &meta, case, &config, &media, &mut row) {
            Ok(case) => cases.push(case),
            Err(error) => row.faults.push(format!("{error:#}")),
        }
        rows.push(row);
    }
    let known: Vec<_> = meta["cases"]
        .as_object()
        .map(|cases| cases.keys().map(String::as_str).collect())
        .unwrap_or_default();
    rows[0].equal(
        "meta.json's cases",
        &known.iter().filter(|case| !CASES.contains(case)).count(),
        &0,
    );
    rows[0].equal("meta.json's tied", &meta["tied"].as_bool(), &Some(config.tie_word_embeddings));
    stated::shapes(folder, &meta, &mut rows[0])?;
    stated::ids(folder, &mut rows[0])?;

    let mut add = |engine: &str, made: Result<Vec<Row>>| match made {
        Ok(made) => rows.extend(made),
        Err(error) => {
            let failed = |p: &Precision, case| Row::failed(name, engine, p.name, case, format!("{error:#}"));
            rows.extend(precisions.iter().flat_map(|p| CASES.iter().map(move |case| failed(p, case))));
        }
    };
    let set = Set {
        folder,
        name,
        precisions,
        cases: &cases,
        media: &media,
    };
    if scope == Scope::Hybrid {
        add("mixed, sim", run(mixed(sim_engine(Kernels::Fast)).0, "mixed, sim", &set));
        add("mixed", wgpu_engine().and_then(|engine| run(mixed(engine).0, "mixed", &set)));
        add(
            "shadow",
            wgpu_engine().and_then(|engine| run(shadow(engine).0, "shadow", &set)),
        );
        return Ok(rows);
    }
    add("sim", run(sim_engine(Kernels::Fast), "sim", &set));
    if scope == Scope::All {
        add("wgpu", wgpu_engine().and_then(|engine| run(engine, "wgpu", &set)));
        match wgpu_engine_decoding_as_gpu() {
            Ok(Some(engine)) => add("as GPU", run(engine, "as GPU", &set)),
            Ok(None) => {}
            Err(error) => add("as GPU", Err(error)),
        }
    }
    Ok(rows)
}

/// What every engine is compared on.
struct Set<'a> {
    folder: &'a Path,
    name: &'a str,
    precisions: &'a [Precision],
    cases: &'a [Case],
    media: &'a BTreeMap<String, Medium>,
}

/// Every case in every precision on one engine.
fn run<E: Engine>(mut engine: E, label: &str, set: &Set<'_>) -> Result<Vec<Row>> {
    let Set {
        folder,
        name,
        cases,
        media,
        ..
    } = *set;
    let mut rows = Vec::new();
    for precision in set.precisions {
        let source = Arc::new(Folder::open(folder)?);
        let mut runner = runner(&mut engine, source, precision.quant, precision.kv_f16)?;
        let mut oracle = match precision.quant {
            Quant::DenseF32 | Quant::DenseF16 => None,
            quant => {
                let mut engine = sim_engine(Kernels::Fast);
                let source = Arc::new(dequantised::checkpoint(folder, quant)?);
                let runner = self::runner(&mut engine, source, Quant::DenseF32, false)?;
                Some((engine, runner))
            }
        };
        for case in cases {
            let mut row = Row::new(name, label, precision.name, case.name);
            let inputs = inputs(case, media)?;
            match forward::run(&mut engine, &mut runner, &inputs) {
                Ok(found) => match &mut oracle {
                    None => against_file(&mut row, case, &found, precision.tolerance),
                    Some((engine, runner)) => {
                        let expected = forward::run(engine, runner, &inputs)?;
                        against_oracle(&mut row, &found, &expected, precision.tolerance);
                    }
                },
                Err(error) => row.faults.push(format!("{error:#}")),
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

fn runner<E: Engine>(engine: &mut E, source: Arc<dyn Source>, quant: Quant, kv_f16: bool) -> Result<Runner> {
    let options = LoadOptions {
        quant,
        kv_f16,
        context_tokens: CONTEXT_TOKENS,
    };
    let model = block_on(load::load(engine, source, &options, None))?;
    Ok(Runner::new(engine, model, &options, true)?)
}

fn inputs<'a>(case: &'a Case, media: &'a BTreeMap<String, Medium>) -> Result<Inputs<'a>> {
    let media = case.media.iter().map(|(key, pads)| {
        Ok((
            pads.clone(),
            media.get(key).with_context(|| format!("medium {key} is missing"))?,
        ))
    });
    let n_new = case.expected.ints("expect.greedy.tokens")?.len();
    Ok(Inputs {
        ids: &case.ids,
        media: media.collect::<Result<_>>()?,
        positions: &case.positions,
        n_new,
    })
}

/// Everything that the file expects, and nothing that it should expect is missing.
fn against_file(row: &mut Row, case: &Case, found: &Outputs, tolerance: Tolerance) {
    for (name, expected) in case
        .expected
        .floats
        .iter()
        .filter_map(|(name, values)| Some((name.strip_prefix("expect.")?, values)))
    {
        let limit = if name.starts_with("image.") || name.starts_with("video.") {
            tolerance.vision
        } else {
            tolerance.text
        };
        match found.floats.get(name) {
            // Some cases keep the last rows only.
            Some(values) if name == "prefill.logits" => {
                row.close(name, &values[values.len().saturating_sub(expected.len())..], expected, limit)
            }
            Some(values) => row.close(name, values, expected, limit),
            None if name.starts_with("lm.rope_") => {}
            None => row.faults.push(format!("{name} is expected, but no engine gives it")),
        }
    }
    let vision =
        |kind: &str| ["patch_embed", "block0.in", "block0.out", "merged", "deepstack0"].map(|part| format!("{kind}.{part}"));
    for (&name, expected) in &case.pixel_values {
        row.close(name, found.floats.get(name).map_or(&[][..], Vec::as_slice), expected, PIXELS);
    }
    let mut needed: Vec<String> = [
        "lm.layer0.in",
        "lm.norm.in",
        "lm.norm.out",
        "lm.rope_cos",
        "lm.rope_sin",
        "prefill.logits",
        "greedy.logits",
    ]
    .map(String::from)
    .into();
    needed.extend(
        ["image", "video"]
            .into_iter()
            .filter(|kind| found.floats.contains_key(&format!("{kind}.merged")))
            .flat_map(vision),
    );
    for name in needed {
        if !case.expected.floats.contains_key(&format!("expect.{name}")) {
            row.faults.push(format!("expect.{name} is missing in the file"));
        }
    }
    let tokens: Vec<i64> = found.tokens.iter().map(|&id| id.into()).collect();
    row.equal(
        "greedy.tokens",
        &Some(&tokens),
        &case.expected.ints.get("expect.greedy.tokens"),
    );
}

/// A quantised engine against the f32 forward over the same dequantised weights. Where the oracle's two best logits are
/// closer than the tolerance lets them be told apart, what follows is another sentence and is not compared.
fn against_oracle(row: &mut Row, found: &Outputs, expected: &Outputs, tolerance: Tolerance) {
    let width = expected
        .floats
        .get("greedy.logits")
        .map_or(0, |logits| logits.len() / expected.tokens.len().max(1));
    let same = found.tokens.iter().zip(&expected.tokens).take_while(|(a, b)| a == b).count();
    for (name, values) in &expected.floats {
        let limit = if name.starts_with("image.") || name.starts_with("video.") {
            tolerance.vision
        } else {
            tolerance.text
        };
        let found = found.floats.get(name).map_or(&[][..], Vec::as_slice);
        let n = if name == "greedy.logits" {
            width * (same + 1).min(expected.tokens.len())
        } else {
            values.len()
        };
        row.close(name, &found[..n.min(found.len())], &values[..n], limit);
    }
    if same < expected.tokens.len() {
        let logits = &expected.floats["greedy.logits"][same * width..(same + 1) * width];
        let rms = (logits.iter().map(|l| l * l).sum::<f32>() / width as f32).sqrt();
        let gap = logits[expected.tokens[same] as usize] - logits[found.tokens[same] as usize];
        if f64::from(gap) > 4.0 * tolerance.text * f64::from(rms) {
            row.faults.push(format!(
                "token {same} is {}, expected {}, at a gap of {gap}",
                found.tokens[same], expected.tokens[same]
            ));
        }
    }
    row.n_compared += same;
}

/// Tokenises a case's prompt, places its media, and holds ids, grids and positions to the file.
fn read_case(
    folder: &Path,
    meta: &Value,
    name: &'static str,
    config: &Config,
    media: &BTreeMap<String, Medium>,
    row: &mut Row,
) -> Result<Case> {
    let expected = Tensors::read(&folder.join(format!("case_{name}.safetensors")))?;
    let about = &meta["cases"][name];
    let prompt = about["prompt"].as_str().context("meta.json has no prompt")?;
    let bpe = Bpe::from_json(&std::fs::read(folder.join("tokenizer.json"))?)?;
    let keys = placeholders(prompt, about)?;
    let medium = |key: &String| media.get(key).with_context(|| format!("medium {key} is missing"));
    let used = keys.iter().map(medium).collect::<Result<Vec<_>>>()?;
    let prompt_media = used.iter().map(|medium| prompt_medium(medium)).collect::<Vec<_>>();
    let expanded = expand(&Rendered::trusted(prompt), &prompt_media, &bpe)?;
    let ids: Vec<i64> = expanded.ids.iter().map(|&id| id.into()).collect();
    row.equal("input_ids", &ids, expected.ints("input_ids")?);
    let text = about["expanded"].as_str().unwrap_or_default();
    row.equal("meta.json's expanded", &bpe.ids_from_template(text)?, &expanded.ids);

    let mut pads = expanded.first_pads.iter().copied();
    let media_of_case: Vec<_> = keys
        .iter()
        .zip(&used)
        .map(|(key, medium)| (key.clone(), pads.by_ref().take(medium.passes.len()).collect::<Vec<_>>()))
        .collect();
    for (kind, is_video) in [("image_grid_thw", false), ("video_grid_thw", true)] {
        let grids: Vec<i64> = used
            .iter()
            .filter(|medium| medium.is_video == is_video)
            .flat_map(|medium| medium.grid())
            .collect();
        row.equal(
            kind,
            &Some(&grids).filter(|grids| !grids.is_empty()),
            &expected.ints.get(kind),
        );
    }
    let placed: Vec<(usize, [u32; 3])> = media_of_case
        .iter()
        .zip(&used)
        .flat_map(|((_, pads), medium)| {
            pads.iter()
                .map(|&at| (at, [1, (medium.height / 16) as u32, (medium.width / 16) as u32]))
        })
        .collect();
    let positions = mrope::positions(expanded.ids.len(), &placed, config.vision.spatial_merge_size)?;
    let flat: Vec<i64> = positions.axes.iter().flatten().map(|&position| position.into()).collect();
    row.equal("position_ids", &flat, expected.ints("position_ids")?);
    row.equal(
        "rope_delta",
        &Some(i64::from(positions.next) - ids.len() as i64),
        &about["rope_delta"].as_i64(),
    );
    let greedy: Vec<Option<i64>> = about["greedy"]
        .as_array()
        .map(|ids| ids.iter().map(Value::as_i64).collect())
        .unwrap_or_default();
    row.equal(
        "meta.json's greedy",
        &greedy,
        &expected.ints("expect.greedy.tokens")?.iter().map(|&id| Some(id)).collect(),
    );
    let times: Vec<f64> = used.iter().flat_map(|medium| medium.times_s.clone()).collect();
    let stated: Vec<f64> = keys
        .iter()
        .filter_map(|key| meta["video"]["timestamps"][key].as_array())
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    row.equal("timestamps", &times, &stated);
    rope_tables(config, &positions, &expected, row);
    let mut pixel_values = BTreeMap::new();
    for (key, is_video) in [("image.pixel_values", false), ("video.pixel_values", true)] {
        let of_kind = || used.iter().filter(|medium| medium.is_video == is_video);
        if of_kind().count() > 0 && of_kind().all(|medium| medium.pixel_values.is_some()) {
            pixel_values.insert(
                key,
                of_kind().filter_map(|medium| medium.pixel_values.clone()).flatten().collect(),
            );
        }
    }
    Ok(Case {
        name,
        ids: expanded.ids,
        positions,
        media: media_of_case,
        pixel_values,
        expected,
    })
}

/// cos and sin of every token from our table, as the reference lays them out: 64 angles, twice.
fn rope_tables(config: &Config, positions: &Positions, expected: &Tensors, row: &mut Row) {
    let (frequencies, map) = (mrope::text_frequencies(&config.text), mrope::text_map(&config.text));
    let table = mrope::table(CONTEXT_TOKENS, &frequencies);
    for (part, name) in ["expect.lm.rope_cos", "expect.lm.rope_sin"].into_iter().enumerate() {
        let value = |token: usize, entry: u32| {
            let (axis, frequency) = ((entry >> 16) as usize, (entry & 0xffff) as usize);
            table[(positions.axes[axis][token] as usize * frequencies.len() + frequency) * 2 + part]
        };
        let found: Vec<f32> = (0..positions.axes[0].len())
            .flat_map(|token| map.iter().chain(&map).map(move |&entry| value(token, entry)))
            .collect();
        row.close(
            name,
            &found,
            expected.floats.get(name).map_or(&[][..], Vec::as_slice),
            F32.text,
        );
    }
}

/// Media keys in the order in which the prompt places them.
fn placeholders(prompt: &str, about: &Value) -> Result<Vec<String>> {
    let list = |key: &str| about[key].as_array().cloned().unwrap_or_default().into_iter();
    let (mut images, mut videos) = (list("images"), list("videos"));
    let mut keys = Vec::new();
    for part in prompt.split("<|vision_start|>").skip(1) {
        let next = if part.starts_with("<|video_pad|>") {
            videos.next()
        } else {
            images.next()
        };
        keys.push(
            next.and_then(|key| key.as_str().map(String::from))
                .context("the prompt has more media than meta.json names")?,
        );
    }
    Ok(keys)
}

fn prompt_medium(medium: &Medium) -> PromptMedium {
    if medium.is_video {
        PromptMedium::Video {
            pairs: medium.times_s.iter().map(|&time| (time, medium.pass_tokens())).collect(),
        }
    } else {
        PromptMedium::Image {
            n_tokens: medium.pass_tokens(),
        }
    }
}
