//! `config.json` of a Qwen3-VL checkpoint, in both spellings (transformers 4.57 and 5), checked.
//! What this code does not support is an error here, not a surprise later.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// A dense Qwen3-VL.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub text: TextConfig,
    pub vision: VisionConfig,
    pub image_token_id: u32,
    pub video_token_id: u32,
    pub tie_word_embeddings: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub rms_norm_eps: f32,
    pub rope_theta: f64,
    /// Frequencies of the time, row and column axes; they sum to `head_dim / 2`.
    pub mrope_section: [usize; 3],
    pub max_position_embeddings: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    pub depth: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_heads: usize,
    pub patch_size: usize,
    pub temporal_patch_size: usize,
    pub spatial_merge_size: usize,
    pub out_hidden_size: usize,
    /// Side of the square table of learned positions.
    pub position_side: usize,
    /// Layers after which a deepstack merger reads, from 0, ascending.
    pub deepstack_visual_indexes: Vec<usize>,
}

impl VisionConfig {
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Values of a patch vector: 3 channels, time, rows, columns.
    pub fn patch_dim(&self) -> usize {
        3 * self.temporal_patch_size * self.patch_size * self.patch_size
    }
}

const FILE: &str = "config.json";

#[derive(Deserialize)]
struct RawConfig {
    model_type: String,
    image_token_id: u32,
    video_token_id: u32,
    tie_word_embeddings: Option<bool>,
    text_config: RawText,
    vision_config: RawVision,
}

#[derive(Deserialize)]
struct RawText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    #[serde(default = "default_eps")]
    rms_norm_eps: f64,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    rope_theta: Option<f64>,
    rope_scaling: Option<RawRope>,
    rope_parameters: Option<RawRope>,
    tie_word_embeddings: Option<bool>,
    #[serde(default = "default_positions")]
    max_position_embeddings: usize,
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
    mrope_section: Option<Vec<usize>>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
    mrope_interleaved: Option<bool>,
}

#[derive(Deserialize)]
struct RawVision {
    depth: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_heads: usize,
    #[serde(default = "sixteen")]
    patch_size: usize,
    #[serde(default = "two")]
    temporal_patch_size: usize,
    #[serde(default = "two")]
    spatial_merge_size: usize,
    #[serde(default = "three")]
    in_channels: usize,
    out_hidden_size: usize,
    num_position_embeddings: usize,
    deepstack_visual_indexes: Vec<usize>,
    #[serde(default = "gelu_tanh")]
    hidden_act: String,
}

fn default_eps() -> f64 {
    1e-6
}
fn default_positions() -> usize {
    262_144
}
fn silu() -> String {
    "silu".into()
}
fn gelu_tanh() -> String {
    "gelu_pytorch_tanh".into()
}
fn two() -> usize {
    2
}
fn three() -> usize {
    3
}
fn sixteen() -> usize {
    16
}

/// Extents that no published checkpoint comes near; beyond them a config is hostile or broken.
const MAX_EXTENT: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 10;

impl Config {
    /// Errors: [`Error::File`] for what is not JSON or lacks a key, [`Error::Unsupported`] for another architecture or
    /// a variant that this code has no formula for.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|e| Error::File {
            file: FILE.into(),
            message: e.to_string(),
        })?;
        let architecture = value
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or("missing")
            .to_owned();
        supported("model_type", &architecture, &["qwen3_vl"])?;
        let raw: RawConfig = serde_json::from_value(value).map_err(|e| Error::File {
            file: FILE.into(),
            message: e.to_string(),
        })?;
        debug_assert_eq!(raw.model_type, architecture);
        let tie_word_embeddings = raw
            .tie_word_embeddings
            .or(raw.text_config.tie_word_embeddings)
            .unwrap_or(false);
        let config = Self {
            text: TextConfig::from_raw(raw.text_config)?,
            vision: VisionConfig::from_raw(raw.vision_config)?,
            image_token_id: raw.image_token_id,
            video_token_id: raw.video_token_id,
            tie_word_embeddings,
        };
        equal(
            "vision_config.out_hidden_size",
            config.vision.out_hidden_size,
            config.text.hidden_size,
        )?;
        Ok(config)
    }
}

impl TextConfig {
    fn from_raw(raw: RawText) -> Result<Self> {
        supported("text_config.hidden_act", &raw.hidden_act, &["silu"])?;
        if raw.attention_bias {
            return unsupported("text_config.attention_bias", "true", "false");
        }
        let rope = raw.rope_parameters.or(raw.rope_scaling);
        let rope_theta = rope.as_ref().and_then(|r| r.rope_theta).or(raw.rope_theta);
        let Some(rope_theta) = rope_theta.filter(|theta| theta.is_finite() && *theta > 1.0) else {
            return unsupported("text_config.rope_theta", &format!("{rope_theta:?}"), "a number above 1");
        };
        let rope_type = rope
            .as_ref()
            .and_then(|r| r.rope_type.clone())
            .unwrap_or_else(|| "default".into());
        supported("text_config.rope_scaling.rope_type", &rope_type, &["default", "mrope"])?;
        if rope.as_ref().and_then(|r| r.mrope_interleaved) == Some(false) {
            return unsupported("text_config.rope_scaling.mrope_interleaved", "false", "true");
        }
        let head_dim = raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads.max(1));
        let section = rope.and_then(|r| r.mrope_section).unwrap_or_else(|| vec![24, 20, 20]);
        let mrope_section: [usize; 3] = section
            .try_into()
            .or_else(|found: Vec<usize>| unsupported("mrope_section", &format!("{found:?}"), "three numbers"))?;
        let config = Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads,
            head_dim,
            rms_norm_eps: raw.rms_norm_eps as f32,
            rope_theta,
            mrope_section,
            max_position_embeddings: raw.max_position_embeddings,
        };
        let c = &config;
        within("text_config.vocab_size", c.vocab_size, MAX_EXTENT)?;
        within("text_config.hidden_size", c.hidden_size, MAX_EXTENT)?;
        within("text_config.intermediate_size", c.intermediate_size, MAX_EXTENT)?;
        within("text_config.num_hidden_layers", c.num_hidden_layers, MAX_LAYERS)?;
        within("text_config.num_attention_heads", c.num_attention_heads, MAX_LAYERS)?;
        within("text_config.num_key_value_heads", c.num_key_value_heads, MAX_LAYERS)?;
        within("text_config.head_dim", c.head_dim, 256)?;
        multiple("text_config.head_dim", c.head_dim, 4)?;
        multiple("text_config.hidden_size", c.hidden_size, 4)?;
        multiple("text_config.intermediate_size", c.intermediate_size, 4)?;
        multiple(
            "text_config.num_attention_heads",
            c.num_attention_heads,
            c.num_key_value_heads,
        )?;
        let sum = c.mrope_section.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
        if sum != Some(c.head_dim / 2) {
            return unsupported(
                "mrope_section",
                &format!("{:?}", c.mrope_section),
                &format!("a sum of {}", c.head_dim / 2),
            );
        }
        Ok(config)
    }
}

impl VisionConfig {
    fn from_raw(raw: RawVision) -> Result<Self> {
        supported("vision_config.hidden_act", &raw.hidden_act, &["gelu_pytorch_tanh"])?;
        equal("vision_config.in_channels", raw.in_channels, 3)?;
        equal("vision_config.temporal_patch_size", raw.temporal_patch_size, 2)?;
        equal("vision_config.spatial_merge_size", raw.spatial_merge_size, 2)?;
        equal("vision_config.patch_size", raw.patch_size, 16)?;
        within("vision_config.depth", raw.depth, MAX_LAYERS)?;
        within("vision_config.hidden_size", raw.hidden_size, MAX_EXTENT)?;
        within("vision_config.intermediate_size", raw.intermediate_size, MAX_EXTENT)?;
        within("vision_config.num_heads", raw.num_heads, MAX_LAYERS)?;
        within(
            "vision_config.num_position_embeddings",
            raw.num_position_embeddings,
            MAX_EXTENT,
        )?;
        multiple("vision_config.hidden_size", raw.hidden_size, 4 * raw.num_heads)?;
        multiple("vision_config.intermediate_size", raw.intermediate_size, 4)?;
        within("vision_config head size", raw.hidden_size / raw.num_heads, 256)?;
        let position_side = raw.num_position_embeddings.isqrt();
        equal(
            "vision_config.num_position_embeddings",
            raw.num_position_embeddings,
            position_side * position_side,
        )?;
        let ascending = raw.deepstack_visual_indexes.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || raw.deepstack_visual_indexes.last().is_some_and(|&last| last >= raw.depth) {
            return unsupported(
                "vision_config.deepstack_visual_indexes",
                &format!("{:?}", raw.deepstack_visual_indexes),
                &format!("ascending layers below {}", raw.depth),
            );
        }
        Ok(Self {
            depth: raw.depth,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_heads: raw.num_heads,
            patch_size: raw.patch_size,
            temporal_patch_size: raw.temporal_patch_size,
            spatial_merge_size: raw.spatial_merge_size,
            out_hidden_size: raw.out_hidden_size,
            position_side,
            deepstack_visual_indexes: raw.deepstack_visual_indexes,
        })
    }
}

/// Stop ids of `generation_config.json` (`eos_token_id`, a number or a list), or of `config.json` if there is none.
///
/// Errors: [`Error::File`] for what is not JSON.
pub fn stop_ids(generation_config: Option<&str>, config: &str) -> Result<Vec<u32>> {
    let parse = |file: &str, text: &str| -> Result<Value> {
        serde_json::from_str(text).map_err(|e| Error::File {
            file: file.into(),
            message: e.to_string(),
        })
    };
    let mut found = Vec::new();
    if let Some(text) = generation_config {
        found = ids_of(&parse("generation_config.json", text)?["eos_token_id"]);
    }
    if found.is_empty() {
        let config = parse(FILE, config)?;
        found = ids_of(&config["text_config"]["eos_token_id"]);
        found.extend(ids_of(&config["eos_token_id"]));
    }
    found.dedup();
    Ok(found)
}

fn ids_of(value: &Value) -> Vec<u32> {
    let one = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        single => one(single).into_iter().collect(),
    }
}

fn supported(key: &str, found: &str, accepted: &[&str]) -> Result<()> {
    if accepted.contains(&found) {
        Ok(())
    } else {
        unsupported(key, found, &accepted.join(", "))
    }
}

fn equal(key: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        unsupported(key, &found.to_string(), &expected.to_string())
    }
}

fn within(key: &str, found: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&found) {
        Ok(())
    } else {
        unsupported(key, &found.to_string(), &format!("1 to {most}"))
    }
}

fn multiple(key: &str, found: usize, of: usize) -> Result<()> {
    if of > 0 && found.is_multiple_of(of) {
        Ok(())
    } else {
        unsupported(key, &found.to_string(), &format!("a multiple of {of}"))
    }
}

fn unsupported<T>(key: &str, found: &str, accepted: &str) -> Result<T> {
    Err(Error::Unsupported {
        file: FILE.into(),
        key: key.into(),
        found: found.into(),
        supported: accepted.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = r#"{"model_type": "qwen3_vl", "image_token_id": 7, "video_token_id": 8, "tie_word_embeddings": false,
        "text_config": {"vocab_size": 448, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 32, "rope_theta": 5000000, "eos_token_id": 3,
            "rope_scaling": {"mrope_interleaved": true, "mrope_section": [6, 5, 5], "rope_type": "default"}},
        "vision_config": {"depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64,
            "num_position_embeddings": 100, "deepstack_visual_indexes": [0, 2], "model_type": "qwen3_vl"}}"#;

    #[test]
    fn both_spellings_give_the_same_config() -> Result<()> {
        let newer = PUBLISHED
            .replace(r#""rope_theta": 5000000, "#, "")
            .replace(r#""rope_scaling": {"#, r#""rope_parameters": {"rope_theta": 5000000, "#)
            .replace(
                r#""model_type": "qwen3_vl"}}"#,
                r#""model_type": "qwen3_vl_vision", "rope_parameters": {"rope_type": "axial"}}}"#,
            );
        assert_ne!(newer, PUBLISHED);
        assert_eq!(Config::from_json(&newer)?, Config::from_json(PUBLISHED)?);
        Ok(())
    }

    #[test]
    fn unsupported_values_are_named() {
        let cases = [
            (
                r#""model_type": "qwen3_vl", "image"#,
                r#""model_type": "llama", "image"#,
                "model_type is llama",
            ),
            (
                r#""mrope_section": [6, 5, 5]"#,
                r#""mrope_section": [6, 5, 6]"#,
                "mrope_section",
            ),
            (
                r#""num_position_embeddings": 100"#,
                r#""num_position_embeddings": 99"#,
                "num_position_embeddings",
            ),
            (r#"[0, 2]"#, r#"[0, 4]"#, "deepstack_visual_indexes"),
            (r#""out_hidden_size": 64"#, r#""out_hidden_size": 32"#, "out_hidden_size"),
            (r#""num_heads": 2"#, r#""num_heads": 0"#, "num_heads"),
            (r#""vocab_size": 448, "#, "", "vocab_size"),
            (r#""rope_theta": 5000000"#, r#""rope_theta": -1"#, "rope_theta"),
            ("{", "", "config.json"),
        ];
        for (from, to, say) in cases {
            let bad = PUBLISHED.replacen(from, to, 1);
            match Config::from_json(&bad) {
                Ok(_) => panic!("{to} was accepted"),
                Err(error) => assert!(error.to_string().contains(say), "{error} does not name {say}"),
            }
        }
    }

    #[test]
    fn stop_ids_come_from_the_generation_config_first() -> Result<()> {
        assert_eq!(stop_ids(Some(r#"{"eos_token_id": [5, 6]}"#), PUBLISHED)?, [5, 6]);
        assert_eq!(stop_ids(None, PUBLISHED)?, [3]);
        Ok(())
    }
}
