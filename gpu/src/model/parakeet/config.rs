//! The configuration of a Parakeet-TDT checkpoint: `model_config.yaml` of NeMo or `config.json` of transformers, checked.
//! What this code does not support is an error here, not a surprise later.

use serde::Deserialize;

use crate::error::{Error, Result};

/// Sizes of a Parakeet-TDT.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub num_mel_bins: usize,
    pub subsampling_conv_channels: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub conv_kernel_size: usize,
    /// Tokens; blank is the id after the last.
    pub n_tokens: usize,
    pub decoder_hidden_size: usize,
    pub num_decoder_layers: usize,
    pub joint_hidden_size: usize,
    pub durations: Vec<u32>,
    /// Tokens at one frame before the decoder moves on by itself.
    pub max_symbols: u32,
    /// Pieces by id, where the configuration has them.
    pub vocabulary: Vec<String>,
}

/// Mel frames a frame of the encoder.
pub const SUBSAMPLING: usize = 8;
/// The front end that all published checkpoints share; others are refused.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
pub const HOP_SAMPLES: usize = 160;

pub const NEMO_FILE: &str = "model_config.yaml";
pub const JSON_FILE: &str = "config.json";

impl Config {
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    pub fn blank_id(&self) -> u32 {
        self.n_tokens as u32
    }

    /// From NeMo's YAML.
    ///
    /// Errors: `File` for text that is not such a configuration, `Unsupported`.
    pub fn from_yaml(yaml: &str) -> Result<Self> {
        let raw: Nemo = serde_saphyr::from_str(yaml).map_err(|error| Error::File {
            file: NEMO_FILE.into(),
            // The parser quotes lines of the file; the first says what is wrong.
            message: format!(
                "is no configuration of NeMo: {}",
                error.to_string().lines().next().unwrap_or_default()
            ),
        })?;
        raw.check()?;
        let (e, d) = (raw.encoder, raw.decoder);
        let config = Self {
            num_mel_bins: e.feat_in,
            subsampling_conv_channels: e.subsampling_conv_channels,
            hidden_size: e.d_model,
            num_hidden_layers: e.n_layers,
            num_attention_heads: e.n_heads,
            intermediate_size: e.d_model.saturating_mul(e.ff_expansion_factor),
            conv_kernel_size: e.conv_kernel_size,
            n_tokens: d.vocab_size,
            decoder_hidden_size: d.prednet.pred_hidden,
            num_decoder_layers: d.prednet.pred_rnn_layers,
            joint_hidden_size: raw.joint.jointnet.joint_hidden,
            durations: raw.decoding.durations,
            max_symbols: raw.decoding.greedy.and_then(|greedy| greedy.max_symbols).unwrap_or(10),
            vocabulary: raw.joint.vocabulary.or(raw.labels).unwrap_or_default(),
        };
        config.checked(NEMO_FILE)
    }

    /// From transformers' JSON.
    ///
    /// Errors: as [`Config::from_yaml`].
    pub fn from_json(json: &str) -> Result<Self> {
        let raw: Transformers = serde_json::from_str(json).map_err(|error| Error::File {
            file: JSON_FILE.into(),
            message: format!("is no configuration of Parakeet: {error}"),
        })?;
        let e = raw.encoder_config;
        for (key, found, supported) in [
            ("model_type", raw.model_type.as_str(), "parakeet_tdt"),
            ("hidden_act", raw.hidden_act.as_str(), "relu"),
            ("encoder_config.hidden_act", e.hidden_act.as_str(), "silu"),
            ("encoder_config.attention_bias", text(e.attention_bias), "false"),
            ("encoder_config.convolution_bias", text(e.convolution_bias), "false"),
            ("encoder_config.scale_input", text(e.scale_input), "false"),
        ] {
            hold(JSON_FILE, key, found, supported)?;
        }
        for (key, found, supported) in [
            ("encoder_config.subsampling_factor", e.subsampling_factor, SUBSAMPLING),
            (
                "encoder_config.subsampling_conv_kernel_size",
                e.subsampling_conv_kernel_size,
                3,
            ),
            ("encoder_config.subsampling_conv_stride", e.subsampling_conv_stride, 2),
            (
                "blank_token_id",
                raw.blank_token_id
                    .unwrap_or(raw.vocab_size.saturating_sub(1))
                    .saturating_add(1),
                raw.vocab_size,
            ),
            (
                "encoder_config.num_key_value_heads",
                e.num_key_value_heads.unwrap_or(e.num_attention_heads),
                e.num_attention_heads,
            ),
        ] {
            hold(JSON_FILE, key, &found.to_string(), &supported.to_string())?;
        }
        let config = Self {
            num_mel_bins: e.num_mel_bins,
            subsampling_conv_channels: e.subsampling_conv_channels,
            hidden_size: e.hidden_size,
            num_hidden_layers: e.num_hidden_layers,
            num_attention_heads: e.num_attention_heads,
            intermediate_size: e.intermediate_size,
            conv_kernel_size: e.conv_kernel_size,
            n_tokens: raw.vocab_size.saturating_sub(1),
            decoder_hidden_size: raw.decoder_hidden_size,
            num_decoder_layers: raw.num_decoder_layers,
            joint_hidden_size: raw.decoder_hidden_size,
            durations: raw.durations,
            max_symbols: raw.max_symbols_per_step.unwrap_or(10),
            vocabulary: Vec::new(),
        };
        config.checked(JSON_FILE)
    }

    /// Sizes within reason, so that nothing that is computed from them overflows.
    fn checked(self, file: &str) -> Result<Self> {
        let limit = |key: &str, found: usize, most: usize| {
            if (1..=most).contains(&found) {
                return Ok(());
            }
            Err(unsupported(file, key, &found.to_string(), &format!("1 to {most}")))
        };
        limit("mel bins", self.num_mel_bins, 1024)?;
        limit("subsampling channels", self.subsampling_conv_channels, 4096)?;
        limit("hidden size", self.hidden_size, 1 << 14)?;
        limit("layers", self.num_hidden_layers, 1024)?;
        limit("heads", self.num_attention_heads, 1024)?;
        limit("intermediate size", self.intermediate_size, 1 << 17)?;
        limit("convolution kernel", self.conv_kernel_size, 255)?;
        limit("vocabulary", self.n_tokens, 1 << 20)?;
        limit("decoder size", self.decoder_hidden_size, 1 << 14)?;
        limit("decoder layers", self.num_decoder_layers, 16)?;
        limit("joint size", self.joint_hidden_size, 1 << 14)?;
        limit("number of durations", self.durations.len(), 64)?;
        limit("max_symbols", self.max_symbols as usize, 1000)?;
        let longest = self.durations.iter().copied().max().unwrap_or(0);
        limit("longest duration", longest as usize, 64)?;
        let wrong = |key: &str, found: String, supported: &str| Err(unsupported(file, key, &found, supported));
        let heads = self.num_attention_heads;
        if !self.hidden_size.is_multiple_of(heads) || !self.head_dim().is_multiple_of(4) || self.head_dim() > 128 {
            let found = format!("{} over {heads} heads", self.hidden_size);
            return wrong("hidden size", found, "heads of a multiple of 4, at most 128");
        }
        if self.conv_kernel_size.is_multiple_of(2) {
            return wrong("convolution kernel", self.conv_kernel_size.to_string(), "odd");
        }
        if !self.vocabulary.is_empty() && self.vocabulary.len() != self.n_tokens {
            let found = format!("{} pieces", self.vocabulary.len());
            return wrong("vocabulary", found, &format!("{} pieces", self.n_tokens));
        }
        Ok(self)
    }
}

fn text(flag: Option<bool>) -> &'static str {
    match flag {
        Some(false) => "false",
        // What both frameworks take where nothing is said.
        _ => "true",
    }
}

fn unsupported(file: &str, key: &str, found: &str, supported: &str) -> Error {
    Error::Unsupported {
        file: file.into(),
        key: key.into(),
        found: found.into(),
        supported: supported.into(),
    }
}

fn hold(file: &str, key: &str, found: &str, supported: &str) -> Result<()> {
    if found == supported {
        return Ok(());
    }
    Err(unsupported(file, key, found, supported))
}

#[derive(Deserialize)]
struct Nemo {
    preprocessor: Preprocessor,
    encoder: NemoEncoder,
    decoder: NemoDecoder,
    joint: Joint,
    decoding: Decoding,
    labels: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Preprocessor {
    sample_rate: u32,
    normalize: String,
    window_size: f64,
    window_stride: f64,
    window: String,
    features: usize,
    n_fft: usize,
    preemph: Option<f64>,
    frame_splicing: Option<usize>,
    log_zero_guard_type: Option<String>,
    mag_power: Option<f64>,
}

#[derive(Deserialize)]
struct NemoEncoder {
    feat_in: usize,
    n_layers: usize,
    d_model: usize,
    n_heads: usize,
    use_bias: Option<bool>,
    subsampling: String,
    subsampling_factor: usize,
    subsampling_conv_channels: usize,
    causal_downsampling: Option<bool>,
    ff_expansion_factor: usize,
    self_attention_model: String,
    att_context_size: Option<Vec<i64>>,
    xscaling: Option<bool>,
    untie_biases: Option<bool>,
    conv_kernel_size: usize,
    conv_norm_type: Option<String>,
}

#[derive(Deserialize)]
struct NemoDecoder {
    vocab_size: usize,
    blank_as_pad: Option<bool>,
    normalization_mode: Option<String>,
    prednet: PredNet,
}

#[derive(Deserialize)]
struct PredNet {
    pred_hidden: usize,
    pred_rnn_layers: usize,
}

#[derive(Deserialize)]
struct Joint {
    num_extra_outputs: usize,
    jointnet: JointNet,
    vocabulary: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct JointNet {
    joint_hidden: usize,
    activation: String,
}

#[derive(Deserialize)]
struct Decoding {
    model_type: Option<String>,
    durations: Vec<u32>,
    greedy: Option<Greedy>,
}

#[derive(Deserialize)]
struct Greedy {
    max_symbols: Option<u32>,
}

impl Nemo {
    fn check(&self) -> Result<()> {
        let (p, e, d) = (&self.preprocessor, &self.encoder, &self.decoder);
        let number = |number: f64| number.to_string();
        let or = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
        let context = e.att_context_size.clone().unwrap_or_else(|| vec![-1, -1]);
        for (key, found, supported) in [
            ("preprocessor.sample_rate", p.sample_rate.to_string(), "16000"),
            ("preprocessor.normalize", p.normalize.clone(), "per_feature"),
            ("preprocessor.window_size", number(p.window_size), "0.025"),
            ("preprocessor.window_stride", number(p.window_stride), "0.01"),
            ("preprocessor.window", p.window.clone(), "hann"),
            ("preprocessor.n_fft", p.n_fft.to_string(), "512"),
            ("preprocessor.preemph", number(p.preemph.unwrap_or(0.97)), "0.97"),
            ("preprocessor.frame_splicing", p.frame_splicing.unwrap_or(1).to_string(), "1"),
            ("preprocessor.log_zero_guard_type", or(&p.log_zero_guard_type, "add"), "add"),
            ("preprocessor.mag_power", number(p.mag_power.unwrap_or(2.0)), "2"),
            ("preprocessor.features", p.features.to_string(), &*e.feat_in.to_string()),
            ("encoder.use_bias", text(e.use_bias).into(), "false"),
            ("encoder.subsampling", e.subsampling.clone(), "dw_striding"),
            ("encoder.subsampling_factor", e.subsampling_factor.to_string(), "8"),
            (
                "encoder.causal_downsampling",
                e.causal_downsampling.unwrap_or(false).to_string(),
                "false",
            ),
            ("encoder.self_attention_model", e.self_attention_model.clone(), "rel_pos"),
            ("encoder.att_context_size", format!("{context:?}"), "[-1, -1]"),
            ("encoder.xscaling", text(e.xscaling).into(), "false"),
            ("encoder.untie_biases", text(e.untie_biases).into(), "true"),
            ("encoder.conv_norm_type", or(&e.conv_norm_type, "batch_norm"), "batch_norm"),
            ("decoder.blank_as_pad", d.blank_as_pad.unwrap_or(true).to_string(), "true"),
            ("decoder.normalization_mode", or(&d.normalization_mode, "null"), "null"),
            ("joint.jointnet.activation", self.joint.jointnet.activation.clone(), "relu"),
            (
                "joint.num_extra_outputs",
                self.joint.num_extra_outputs.to_string(),
                &*self.decoding.durations.len().to_string(),
            ),
            ("decoding.model_type", or(&self.decoding.model_type, "rnnt"), "tdt"),
        ] {
            hold(NEMO_FILE, key, &found, supported)?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Transformers {
    model_type: String,
    encoder_config: TransformersEncoder,
    vocab_size: usize,
    blank_token_id: Option<usize>,
    decoder_hidden_size: usize,
    num_decoder_layers: usize,
    durations: Vec<u32>,
    max_symbols_per_step: Option<u32>,
    hidden_act: String,
}

#[derive(Deserialize)]
struct TransformersEncoder {
    num_mel_bins: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    intermediate_size: usize,
    conv_kernel_size: usize,
    subsampling_conv_channels: usize,
    subsampling_conv_kernel_size: usize,
    subsampling_conv_stride: usize,
    subsampling_factor: usize,
    hidden_act: String,
    attention_bias: Option<bool>,
    convolution_bias: Option<bool>,
    scale_input: Option<bool>,
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
