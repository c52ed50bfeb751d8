//! What a folder's files say of each other: two configurations, two checkpoints, two tokenizers, and what meta.json states.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::model::parakeet::FrontEnd;
use gpu::model::parakeet::config::Config;
use gpu::model::parakeet::load::transformers_name;
use gpu::weights::Checkpoint;
use gpu::weights::source::Source;
use serde_json::Value;
use stages::stt::pieces::Pieces;

use super::super::folder::json;
use super::super::table::Row;

/// The configuration and the pieces of a folder whose files agree.
pub fn files(
    folder: &Path,
    meta: &Value,
    nemo: &Arc<dyn Source>,
    plain: &Arc<dyn Source>,
    row: &mut Row,
) -> Result<(Config, Pieces)> {
    let (config, other) = block_on(super::configs(&**nemo, &**plain))?;
    let without_pieces = Config {
        vocabulary: Vec::new(),
        ..config.clone()
    };
    row.equal("the two configurations", &without_pieces, &other);
    row.equal(
        "meta.json's blank_id",
        &meta["blank_id"].as_u64(),
        &Some(config.blank_id().into()),
    );
    let durations: Vec<Option<u64>> = config.durations.iter().map(|&duration| Some(duration.into())).collect();
    let stated: Vec<Option<u64>> = meta["durations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(Value::as_u64)
        .collect();
    row.equal("meta.json's durations", &stated, &durations);
    row.equal(
        "meta.json's max_symbols",
        &meta["max_symbols"].as_u64(),
        &Some(config.max_symbols.into()),
    );
    let preprocessor = json(&folder.join("preprocessor_config.json"))?;
    for (key, expected) in [
        ("feature_size", config.num_mel_bins as f64),
        ("hop_length", 160.0),
        ("n_fft", 512.0),
        ("padding_value", 0.0),
        ("preemphasis", 0.97),
        ("sampling_rate", 16_000.0),
        ("win_length", 400.0),
    ] {
        row.equal(
            &format!("preprocessor_config.json's {key}"),
            &preprocessor[key].as_f64(),
            &Some(expected),
        );
    }
    tensors(meta, nemo, plain, row)?;
    let tokenizer = std::fs::read(folder.join("tokenizer.model")).context("tokenizer.model cannot be read")?;
    let pieces = Pieces::from_sentencepiece("tokenizer.model", &tokenizer)?;
    row.equal(
        "the configuration's vocabulary",
        &Pieces::new(config.vocabulary.clone()),
        &pieces,
    );
    let inner = block_on(archived_tokenizer(&**nemo))?;
    row.equal("the archive's tokenizer", &(inner == tokenizer), &true);
    Ok((config, pieces))
}

/// The archive names its tokenizer in the configuration: `model_path: nemo:NAME`.
async fn archived_tokenizer(nemo: &dyn Source) -> Result<Vec<u8>> {
    let yaml = gpu::weights::source::read_text(nemo, "model_config.yaml")
        .await?
        .unwrap_or_default();
    let name = yaml.lines().find_map(|line| line.trim().strip_prefix("model_path: nemo:"));
    let name = name.context("model_config.yaml names no tokenizer")?;
    let size = nemo
        .size(name)
        .await?
        .with_context(|| format!("{name} is not in the archive"))?;
    Ok(nemo.read(name, 0, size as usize).await?)
}

/// Both checkpoints hold the same bytes under their names, in the shapes of meta.json.
fn tensors(meta: &Value, nemo: &Arc<dyn Source>, plain: &Arc<dyn Source>, row: &mut Row) -> Result<()> {
    let nemo = block_on(Checkpoint::open(nemo.clone()))?;
    let plain = block_on(Checkpoint::open(plain.clone()))?;
    let stated = meta["nemo_tensors"].as_object().context("meta.json has no nemo_tensors")?;
    row.equal("number of tensors", &nemo.tensors().len(), &stated.len());
    let mut n_shared = 0;
    for (name, info) in nemo.tensors() {
        let shape: Vec<Option<u64>> = info.shape.iter().map(|&extent| Some(extent as u64)).collect();
        let expected: Option<Vec<Option<u64>>> = stated
            .get(name)
            .and_then(Value::as_array)
            .map(|shape| shape.iter().map(Value::as_u64).collect());
        row.equal(&format!("shape of {name}"), &Some(shape), &expected);
        if name.starts_with("preprocessor.") {
            continue;
        }
        let Some(other) = plain.tensors().get(&transformers_name(name)) else {
            row.faults.push(format!("{name} is missing in model.safetensors"));
            continue;
        };
        n_shared += 1;
        let bytes = block_on(nemo.read(info, 0, info.size as usize))?;
        let others = block_on(plain.read(other, 0, other.size as usize))?;
        let same = (&info.dtype, &info.shape, bytes) == (&other.dtype, &other.shape, others);
        row.equal(&format!("{name} in both checkpoints"), &same, &true);
    }
    row.equal("tensors of model.safetensors", &plain.tensors().len(), &n_shared);
    Ok(())
}

/// The archive's window and filters, which are what our own front end computes.
pub fn front_end(nemo: &Arc<dyn Source>, config: &Config, row: &mut Row) -> Result<FrontEnd> {
    let checkpoint = block_on(Checkpoint::open(nemo.clone()))?;
    let window = block_on(checkpoint.read_f32("preprocessor.featurizer.window"))?;
    let filters = block_on(checkpoint.read_f32("preprocessor.featurizer.fb"))?;
    row.close("window", &stages::stt::mel::hann(), &window, 1e-6);
    row.close(
        "filters",
        &stages::stt::mel::slaney_filters(config.num_mel_bins),
        &filters,
        1e-6,
    );
    Ok(FrontEnd {
        window: Some(window),
        filters: Some(filters),
    })
}
