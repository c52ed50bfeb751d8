//! How models would do on known GPUs, before any download: what `qwglm plan` says, as the page shows it.

use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::published;
use gpu::protocol::{LoadOptions, Quant};
use sim::timing::bundled;
use sim::timing::dry::Grid;
use sim::timing::predict::{Question, predict};
use stages::vision::resize::{PixelLimits, Size, image_size};

use super::error::Result;
use crate::protocol::PlanRow;

/// The models that are planned, the one that the page has first.
pub const MODELS: [&str; 4] = ["pocket-vl", "qwen3-vl-2b", "qwen3-vl-4b", "qwen3-vl-8b"];

pub const POCKET: &str = include_str!("../../../../models/pocket-vl/config.json");
const PICTURE: [usize; 2] = [640, 360];
/// Pixels of a side of a patch.
const PATCH: usize = 16;
/// Tokens of the words around a picture.
const WORDS: usize = 24;
const CONTEXT_TOKENS: usize = 4096;

/// A model on every bundled GPU. Takes up to a second.
pub fn rows(model: &str) -> Vec<PlanRow> {
    let (json, quant) = match model == MODELS[0] {
        true => (Some(POCKET), Quant::Q8),
        false => (published::config_json(model), Quant::Q4),
    };
    // Both are in the tree, and their own tests read them.
    json.and_then(|json| rows_of(model, json, quant, 0).ok()).unwrap_or_default()
}

/// The same of a model with that `config.json`, whose weights have so many bytes.
///
/// Errors: those of [`Config::from_json`].
pub fn rows_of(model: &str, json: &str, quant: Quant, download_bytes: u64) -> Result<Vec<PlanRow>> {
    let config = Config::from_json(json)?;
    let question = Question {
        config,
        options: LoadOptions {
            quant,
            context_tokens: CONTEXT_TOKENS,
            ..LoadOptions::default()
        },
        contexts: vec![1024],
        prompts: Vec::new(),
        pictures: grid().map(|grid| (PICTURE, grid)).into_iter().collect(),
        n_words: WORDS,
    };
    let predictions = predict(&question, bundled::profiles()).into_iter();
    let row = |prediction: sim::timing::predict::Prediction| {
        let fits = prediction.fits && prediction.problem.is_none();
        PlanRow {
            model: model.to_owned(),
            download_bytes,
            size_bytes: prediction.memory.total_bytes,
            tokens_per_s: prediction.decode.first().map(|row| row.tokens_per_s).filter(|_| fits),
            first_word_ms: prediction
                .pictures
                .first()
                .and_then(|row| row.first_token_s())
                .filter(|_| fits)
                .map(|s| s * 1e3),
            gpu: prediction.name,
            fits,
        }
    };
    Ok(predictions.map(row).collect())
}

/// The patches of the picture once it is resized as the model wants it.
fn grid() -> Option<Grid> {
    let from = Size {
        width: PICTURE[0] as u32,
        height: PICTURE[1] as u32,
    };
    let size = image_size(from, PixelLimits::IMAGE).ok()?;
    Some(Grid {
        rows: size.height as usize / PATCH,
        columns: size.width as usize / PATCH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_large_model_fits_where_there_is_memory_and_is_slower_than_the_small_one() {
        let (small, large) = (rows(MODELS[0]), rows(MODELS[3]));
        assert_eq!(small.len(), bundled::profiles().len());
        assert!(small.iter().all(|row| row.fits && row.tokens_per_s.is_some()));
        let on = |rows: &[PlanRow], gpu: &str| rows.iter().find(|row| row.gpu.contains(gpu)).cloned().unwrap();
        let (small, large) = (on(&small, "4090"), on(&large, "4090"));
        assert!(large.fits && large.tokens_per_s < small.tokens_per_s && large.first_word_ms > small.first_word_ms);
        assert!(
            (4_000_000_000..9_000_000_000).contains(&large.size_bytes),
            "{}",
            large.size_bytes
        );
    }
}
