//! The shape that is measured: its configuration by name, and random weights for it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::published;
use gpu::model::qwen3_vl::random::RandomWeights;
use gpu::protocol::Quant;
use gpu::weights::source::{Source, read_text};

use super::args::ShapeArgs;
use crate::args::QuantArg;
use crate::failure::usage;
use crate::models;

/// The same weights each time.
const SEED: u64 = 1;

/// A configuration, and how its weights are stored.
pub struct Shape {
    pub name: String,
    pub json: String,
    pub config: Config,
    pub quant: Quant,
}

impl Shape {
    /// Finds the shape by its name.
    ///
    /// Errors: usage, if there is none of this name; a configuration that is not supported.
    pub async fn find(args: &ShapeArgs) -> Result<Self> {
        let name = &args.shape;
        let mut json = match published::config_json(name) {
            Some(json) => json.to_owned(),
            None => config_of(name).await?,
        };
        if let Some(n) = args.layers {
            json = with_layers(&json, n).with_context(|| format!("{name} cannot be cut to {n} layers"))?;
        }
        Ok(Self {
            name: name.clone(),
            config: Config::from_json(&json)?,
            json,
            quant: match args.quant {
                QuantArg::Q4 => Quant::Q4,
                QuantArg::Q8 => Quant::Q8,
                QuantArg::Dense => Quant::DenseF16,
            },
        })
    }

    /// Random weights of this shape.
    ///
    /// Errors: none for a shape that was found.
    pub fn weights(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(RandomWeights::new(&self.name, &self.json, self.quant, SEED)?))
    }

    pub fn quant_name(&self) -> &'static str {
        match self.quant {
            Quant::Q4 => "4",
            Quant::Q8 => "8",
            Quant::DenseF16 => "dense",
            Quant::DenseF32 => "dense f32",
        }
    }

    /// Token ids for a prompt of this length that begins like no other with another `salt`.
    pub fn prompt(&self, n: usize, salt: u32) -> Arc<[u32]> {
        let c = &self.config;
        let special = c.image_token_id.min(c.video_token_id).max(2);
        let n_words = special.min(c.text.vocab_size as u32);
        let word = |i: u32| (salt.wrapping_mul(0x9e37_79b9) ^ i.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35) >> 7;
        (0..n as u32).map(|i| word(i) % n_words).collect()
    }
}

async fn config_of(name: &str) -> Result<String> {
    let place = match models::find(name, Path::new(".")) {
        Ok(models::Place::Hub(_)) => bail!(usage(format!("--shape {name}: shapes are not looked for on the hub"))),
        Ok(place) => place,
        Err(_) => {
            let known = published::NAMES.join(", ");
            bail!(usage(format!(
                "--shape {name}: there is no such shape; {known}, a pocket model's name, or a folder with a config.json"
            )))
        }
    };
    let (progress, _) = async_channel::bounded(1);
    let source = models::open(place, progress, false).await?;
    let json = read_text(&*source, "config.json").await?;
    json.with_context(|| format!("{name} has no config.json"))
}

/// The same configuration with fewer layers in the language model.
fn with_layers(json: &str, n: u32) -> Result<String> {
    let mut config: serde_json::Value = serde_json::from_str(json)?;
    config["text_config"]["num_hidden_layers"] = n.into();
    Ok(config.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(shape: &str, layers: Option<u32>) -> ShapeArgs {
        ShapeArgs {
            shape: shape.into(),
            quant: QuantArg::Q4,
            adapter: None,
            without: None,
            layers,
            runs: 1,
            json: false,
        }
    }

    #[tokio::test]
    async fn shapes_are_found_by_name_and_cut() {
        let whole = Shape::find(&args("qwen3-vl-8b", None)).await.unwrap();
        let cut = Shape::find(&args("qwen3-vl-8b", Some(2))).await.unwrap();
        assert_eq!(
            (whole.config.text.num_hidden_layers, cut.config.text.num_hidden_layers),
            (36, 2)
        );
        assert_eq!(whole.config.vision, cut.config.vision);
        for wrong in ["qwen3-vl-9b", "Qwen/Qwen3-VL-8B-Instruct"] {
            let error = Shape::find(&args(wrong, None)).await.err().unwrap();
            assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        }
        let (a, b) = (whole.prompt(100, 1), whole.prompt(100, 2));
        assert!(a[0] != b[0] && a.iter().all(|&id| id < whole.config.image_token_id));
    }
}
