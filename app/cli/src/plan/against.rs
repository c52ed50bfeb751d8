//! `qwglm plan --against`: what the model of time says, beside what `qwglm bench --shape` measured.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::published;
use gpu::protocol::{LoadOptions, Quant};
use serde::{Deserialize, Serialize};
use sim::timing::Device;
use sim::timing::predict::{Question, Work};

use super::{PlanArgs, gpus, model};
use crate::print;

/// What is read of a benchmark's JSON.
#[derive(Debug, Deserialize)]
struct Bench {
    adapter: String,
    shape: String,
    quant: String,
    layers: usize,
    #[serde(default)]
    decode: Vec<BenchDecode>,
    #[serde(default)]
    prefill: Vec<BenchPrefill>,
    #[serde(default)]
    images: Vec<BenchImage>,
}

#[derive(Debug, Deserialize)]
struct BenchDecode {
    context: usize,
    step_us: f64,
}

#[derive(Debug, Deserialize)]
struct BenchPrefill {
    length: usize,
    ms: f64,
}

#[derive(Debug, Deserialize)]
struct BenchImage {
    width: usize,
    height: usize,
    encode_ms: f64,
}

/// One figure, both ways.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    predicted_ms: f64,
    measured_ms: f64,
    /// How far the prediction is off, as a share of what was measured.
    error: f64,
}

#[derive(Debug, Serialize)]
struct Comparison {
    model: String,
    quant: String,
    profile: String,
    adapter: String,
    rows: Vec<Row>,
    median_error: f64,
    worst_error: f64,
}

/// Prints the comparison.
///
/// Errors: a file that is no benchmark's, or measured nothing; a GPU that is not known.
pub async fn against(args: &PlanArgs, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let bench = read(&text).with_context(|| format!("{} is not what `qwglm bench --shape … --json` writes", path.display()))?;
    let profiles = gpus::find(&args.gpu).await?;
    let config = config(&bench).await?;
    for profile in profiles {
        let comparison = compare(&bench, &config, &Device::new(profile))?;
        match args.json {
            true => print(&format!("{}\n", serde_json::to_string(&comparison)?))?,
            false => print(&comparison.table())?,
        }
    }
    Ok(())
}

/// The last line that is an object: a benchmark's output may have others before it.
fn read(text: &str) -> Result<Bench> {
    let line = text.lines().rev().find(|line| line.trim_start().starts_with('{'));
    let whole = serde_json::from_str(text);
    let bench: Bench = match (whole, line) {
        (Ok(bench), _) => bench,
        (Err(_), Some(line)) => serde_json::from_str(line)?,
        (Err(error), None) => return Err(error.into()),
    };
    let n_rows = bench.decode.len() + bench.prefill.len() + bench.images.len();
    ensure!(n_rows > 0, "nothing was measured");
    Ok(bench)
}

async fn config(bench: &Bench) -> Result<Config> {
    let mut config = match published::config(&bench.shape)? {
        Some(config) => config,
        None => model::find(&bench.shape).await?.config,
    };
    config.text.num_hidden_layers = bench.layers;
    Ok(config)
}

fn compare(bench: &Bench, config: &Config, device: &Device) -> Result<Comparison> {
    let quant = match bench.quant.as_str() {
        "4" => Quant::Q4,
        "8" => Quant::Q8,
        "dense" => Quant::DenseF16,
        "dense f32" => Quant::DenseF32,
        other => return Err(anyhow!("quant is {other}")),
    };
    let sizes = bench.images.iter().map(|image| [image.width, image.height]);
    let deepest = bench.decode.iter().map(|row| row.context).max().unwrap_or(0);
    let longest = bench.prefill.iter().map(|row| row.length).max().unwrap_or(1);
    let question = Question {
        config: config.clone(),
        options: LoadOptions {
            quant,
            context_tokens: (deepest.max(longest) + 1024).max(LoadOptions::default().context_tokens),
            ..LoadOptions::default()
        },
        contexts: bench.decode.iter().map(|row| row.context).collect(),
        prompts: bench.prefill.iter().map(|row| row.length).collect(),
        pictures: sizes.map(|size| Ok((size, model::grid(size)?))).collect::<Result<_>>()?,
        n_words: super::WORDS,
    };
    let plans = question.plans(&device.profile)?;
    let ms = |work: Work| plans.time(device, work).total_s * 1e3;
    let mut rows = Vec::new();
    for row in &bench.decode {
        let work = Work::Step { n_cached: row.context };
        rows.push(Row::new(format!("a step at {}", row.context), ms(work), row.step_us / 1e3));
    }
    for row in &bench.prefill {
        let work = Work::Prompt { n_tokens: row.length };
        rows.push(Row::new(format!("a prompt of {}", row.length), ms(work), row.ms));
    }
    for (row, &(_, grid)) in bench.images.iter().zip(&question.pictures) {
        let what = format!("a picture of {}×{}", row.width, row.height);
        rows.push(Row::new(what, ms(Work::Tower { grid }), row.encode_ms));
    }
    let mut errors: Vec<f64> = rows.iter().map(|row| row.error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    Ok(Comparison {
        model: bench.shape.clone(),
        quant: bench.quant.clone(),
        profile: device.profile.key.clone(),
        adapter: bench.adapter.clone(),
        median_error: median(&errors),
        worst_error: errors.last().copied().unwrap_or(0.0),
        rows,
    })
}

impl Row {
    fn new(what: String, predicted_ms: f64, measured_ms: f64) -> Self {
        Self {
            what,
            predicted_ms,
            measured_ms,
            error: predicted_ms / measured_ms - 1.0,
        }
    }
}

impl Comparison {
    fn table(&self) -> String {
        let mut text = format!(
            "{}, {}: the profile {} against {}\n\n  {:<26}{:>14}{:>14}{:>9}\n",
            self.model,
            super::table::bits(&self.quant),
            self.profile,
            self.adapter,
            "",
            "predicted, ms",
            "measured, ms",
            "error"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "  {:<26}{:>14.3}{:>14.3}{:>+8.0}%",
                row.what,
                row.predicted_ms,
                row.measured_ms,
                row.error * 100.0
            );
        }
        let _ = writeln!(
            text,
            "  median {:.0} %, worst {:.0} %",
            self.median_error * 100.0,
            self.worst_error * 100.0
        );
        text
    }
}

/// Of sorted values.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use sim::timing::bundled;

    use super::*;

    const MEASURED: &str = r#"loading…
{"type": "bench", "bench": "model", "adapter": "NVIDIA H100", "driver": "580", "shape": "qwen3-vl-2b", "quant": "4", "layers": 28, "runs": 5,
"decode": [{"context": 0, "tokens_per_s": 500.0, "step_us": 2000.0}], "prefill": [{"length": 512, "tokens_per_s": 1.0, "ms": 100.0}],
"images": [{"width": 640, "height": 352, "tokens": 220, "encode_ms": 20.0, "first_token_ms": 50.0}]}"#;

    #[tokio::test]
    async fn every_figure_of_a_benchmark_is_compared() {
        let text = MEASURED.replace(",\n", ", ");
        let bench = read(&text).unwrap();
        let config = config(&bench).await.unwrap();
        let device = Device::new(bundled::find("h100").unwrap().clone());
        let comparison = compare(&bench, &config, &device).unwrap();
        let names: Vec<&str> = comparison.rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(names, ["a step at 0", "a prompt of 512", "a picture of 640×352"]);
        for row in &comparison.rows {
            assert!((row.predicted_ms / row.measured_ms - 1.0 - row.error).abs() < 1e-9 && row.predicted_ms > 0.0);
        }
        let errors: Vec<f64> = comparison.rows.iter().map(|row| row.error.abs()).collect();
        assert_eq!(comparison.worst_error, errors.iter().copied().fold(0.0, f64::max));
        assert!(comparison.table().contains("median"));
    }

    #[test]
    fn what_is_no_benchmark_is_refused() {
        for text in [
            "",
            "{}",
            "words",
            r#"{"adapter": "a", "shape": "s", "quant": "4", "layers": 1}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
