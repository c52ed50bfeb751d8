//! From a checkpoint's tensors to [`Parakeet`], by NeMo's names or transformers'.
//! Source: parakeet-tdt.md §2 of the reference.

use std::sync::Arc;

use async_channel::Sender;

use super::config::{Config, JSON_FILE, NEMO_FILE};
use super::decoder::{Decoder, LstmLayer};
use super::encoder::{Depthwise, Encoder, FeedForward, Layer, PreEncode};
use super::{FrontEnd, Parakeet};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ops::{Linear, Norm};
use crate::model::qwen3_vl::made::Made;
use crate::protocol::{LoadProgress, Quant};
use crate::tensor::TensorId;
use crate::weights::source::Source;
use crate::weights::{Checkpoint, Loader, Weight};

const LAYER_NORM_EPS: f32 = 1e-5;
const BATCH_NORM_EPS: f64 = 1e-5;

/// Parts of NeMo's names, and what transformers calls them.
const RENAMED: [(&str, &str); 13] = [
    ("encoder.pre_encode.conv.", "encoder.subsampling.layers."),
    ("encoder.pre_encode.out.", "encoder.subsampling.linear."),
    (".conv.batch_norm.", ".conv.norm."),
    ("self_attn.linear_q.", "self_attn.q_proj."),
    ("self_attn.linear_k.", "self_attn.k_proj."),
    ("self_attn.linear_v.", "self_attn.v_proj."),
    ("self_attn.linear_out.", "self_attn.o_proj."),
    ("self_attn.linear_pos.", "self_attn.relative_k_proj."),
    ("self_attn.pos_bias_", "self_attn.bias_"),
    ("decoder.prediction.embed.", "decoder.embedding."),
    ("decoder.prediction.dec_rnn.lstm.", "decoder.lstm."),
    ("joint.pred.", "decoder.decoder_projector."),
    ("joint.joint_net.2.", "joint.head."),
];

/// The name that transformers gives the tensor which NeMo calls `name`.
pub fn transformers_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("joint.enc.") {
        return format!("encoder_projector.{rest}");
    }
    let renamed = RENAMED.iter().find(|(nemo, _)| name.contains(nemo));
    renamed.map_or_else(|| name.to_owned(), |(nemo, other)| name.replacen(nemo, other, 1))
}

/// The configuration of a source, and whether its tensors have NeMo's names.
///
/// Errors: `File` if there is none; those of [`Config`].
pub async fn config(source: &dyn Source) -> Result<(Config, bool)> {
    let read = crate::weights::source::read_text;
    if let Some(json) = read(source, JSON_FILE).await? {
        return Ok((Config::from_json(&json)?, false));
    }
    match read(source, NEMO_FILE).await? {
        Some(yaml) => Ok((Config::from_yaml(&yaml)?, true)),
        None => Err(Error::File {
            file: JSON_FILE.into(),
            message: format!("is missing in {}, and so is {NEMO_FILE}", source.name()),
        }),
    }
}

/// Reads, checks and uploads a checkpoint, a tensor at a time.
///
/// Errors: those of the source and of the headers; [`Error::Unsupported`] for another architecture;
/// [`Error::MissingTensor`], [`Error::Tensor`]; those of the engine. Nothing stays on the engine then.
pub async fn load<E: Engine>(
    engine: &mut E,
    source: Arc<dyn Source>,
    quant: Quant,
    progress: Option<&Sender<LoadProgress>>,
) -> Result<Parakeet> {
    let (config, is_nemo) = config(&*source).await?;
    let checkpoint = Checkpoint::open(source).await?;
    let (read, weight_bytes, made) = {
        let mut reader = Reader {
            loader: Loader::new(&mut *engine, &checkpoint, progress.cloned()),
            quant,
            is_nemo,
            weight_bytes: 0,
            made: Made::default(),
        };
        let read = reader.model(&config).await;
        (read, reader.weight_bytes, reader.made)
    };
    match read {
        Ok((encoder, decoder, front_end)) => Ok(Parakeet {
            name: checkpoint.name().to_owned(),
            config,
            encoder,
            decoder,
            front_end,
            weight_bytes,
            made,
        }),
        Err(error) => {
            made.free(engine);
            Err(error)
        }
    }
}

struct Reader<'a, E: Engine> {
    loader: Loader<'a, E>,
    quant: Quant,
    is_nemo: bool,
    weight_bytes: u64,
    /// All that was loaded so far.
    made: Made,
}

impl<E: Engine> Reader<'_, E> {
    async fn model(&mut self, c: &Config) -> Result<(Encoder, Decoder, FrontEnd)> {
        let front_end = self.front_end(c).await?;
        let pre_encode = self.pre_encode(c).await?;
        let mut layers = Vec::with_capacity(c.num_hidden_layers);
        for i in 0..c.num_hidden_layers {
            layers.push(self.layer(c, i).await?);
        }
        let joint_enc = self.linear("joint.enc", [c.joint_hidden_size, c.hidden_size], true).await?;
        let encoder = Encoder {
            config: c.clone(),
            pre_encode,
            layers,
            joint_enc,
        };
        Ok((encoder, self.decoder(c).await?, front_end))
    }

    async fn front_end(&mut self, c: &Config) -> Result<FrontEnd> {
        let mut front_end = FrontEnd::default();
        for (name, values) in [
            ("preprocessor.featurizer.window", &mut front_end.window),
            ("preprocessor.featurizer.fb", &mut front_end.filters),
        ] {
            let checkpoint = self.loader.checkpoint();
            if checkpoint.tensors().contains_key(name) {
                *values = Some(checkpoint.read_f32(name).await?);
            }
        }
        let lengths = [(&front_end.window, 400), (&front_end.filters, c.num_mel_bins * 257)];
        for (values, expected) in lengths {
            if let Some(values) = values.as_ref().filter(|values| values.len() != expected) {
                let found = values.len();
                return Err(self.wrong("preprocessor.featurizer", format!("has {found} values, expected {expected}")));
            }
        }
        Ok(front_end)
    }

    async fn pre_encode(&mut self, c: &Config) -> Result<PreEncode> {
        let channels = c.subsampling_conv_channels;
        let flat = channels * c.num_mel_bins.div_ceil(8);
        let name = |i: usize| format!("encoder.pre_encode.conv.{i}");
        Ok(PreEncode {
            conv0: self.conv_down(&name(0), channels).await?,
            conv2: self.conv_down(&name(2), channels).await?,
            conv3: self.linear(&name(3), [channels, channels], true).await?,
            conv5: self.conv_down(&name(5), channels).await?,
            conv6: self.linear(&name(6), [channels, channels], true).await?,
            out: self.linear("encoder.pre_encode.out", [c.hidden_size, flat], true).await?,
        })
    }

    async fn layer(&mut self, c: &Config, i: usize) -> Result<Layer> {
        let d = c.hidden_size;
        let name = |part: &str| format!("encoder.layers.{i}.{part}");
        Ok(Layer {
            norm_feed_forward1: self.norm(&name("norm_feed_forward1"), d).await?,
            feed_forward1: self.feed_forward(&name("feed_forward1"), c).await?,
            norm_self_att: self.norm(&name("norm_self_att"), d).await?,
            linear_q: self.linear(&name("self_attn.linear_q"), [d, d], false).await?,
            linear_k: self.linear(&name("self_attn.linear_k"), [d, d], false).await?,
            linear_v: self.linear(&name("self_attn.linear_v"), [d, d], false).await?,
            linear_pos: self.linear(&name("self_attn.linear_pos"), [d, d], false).await?,
            linear_out: self.linear(&name("self_attn.linear_out"), [d, d], false).await?,
            pos_bias_u: self.table(&name("self_attn.pos_bias_u"), d).await?,
            pos_bias_v: self.table(&name("self_attn.pos_bias_v"), d).await?,
            norm_conv: self.norm(&name("norm_conv"), d).await?,
            pointwise_conv1: self.linear(&name("conv.pointwise_conv1"), [2 * d, d], false).await?,
            depthwise_conv: self.conv_and_norm(&name("conv"), c).await?,
            pointwise_conv2: self.linear(&name("conv.pointwise_conv2"), [d, d], false).await?,
            norm_feed_forward2: self.norm(&name("norm_feed_forward2"), d).await?,
            feed_forward2: self.feed_forward(&name("feed_forward2"), c).await?,
            norm_out: self.norm(&name("norm_out"), d).await?,
        })
    }

    async fn feed_forward(&mut self, name: &str, c: &Config) -> Result<FeedForward> {
        let (d, f) = (c.hidden_size, c.intermediate_size);
        Ok(FeedForward {
            linear1: self.linear(&format!("{name}.linear1"), [f, d], false).await?,
            linear2: self.linear(&format!("{name}.linear2"), [d, f], false).await?,
        })
    }

    async fn decoder(&mut self, c: &Config) -> Result<Decoder> {
        let (p, j) = (c.decoder_hidden_size, c.joint_hidden_size);
        let embed = self.matrix("decoder.prediction.embed.weight", [c.n_tokens + 1, p]).await?;
        let mut lstm = Vec::with_capacity(c.num_decoder_layers);
        for i in 0..c.num_decoder_layers {
            let name = |part: &str| format!("decoder.prediction.dec_rnn.lstm.{part}_l{i}");
            lstm.push(LstmLayer {
                ih: Linear {
                    weight: self.matrix(&name("weight_ih"), [4 * p, p]).await?,
                    bias: Some(self.vector(&name("bias_ih"), 4 * p).await?),
                },
                hh: Linear {
                    weight: self.matrix(&name("weight_hh"), [4 * p, p]).await?,
                    bias: Some(self.vector(&name("bias_hh"), 4 * p).await?),
                },
            });
        }
        let n_outputs = c.n_tokens + 1 + c.durations.len();
        Ok(Decoder {
            config: c.clone(),
            embed,
            lstm,
            joint_pred: self.linear("joint.pred", [j, p], true).await?,
            joint_head: self.linear("joint.joint_net.2", [n_outputs, j], true).await?,
            durations: self
                .made
                .upload(self.loader.engine(), "durations", bytemuck::cast_slice(&c.durations))?,
        })
    }

    /// A 3×3 convolution of each channel, taps before channels.
    async fn conv_down(&mut self, name: &str, channels: usize) -> Result<Depthwise> {
        let weight = self.values(&format!("{name}.weight"), channels * 9).await?;
        let bias = self.vector(&format!("{name}.bias"), channels).await?;
        let weight = self.upload(name, &turned(&weight, 9))?;
        Ok(Depthwise { weight, bias })
    }

    /// The convolution along time, and what the batch norm after it does to each channel.
    async fn conv_and_norm(&mut self, name: &str, c: &Config) -> Result<Depthwise> {
        let (d, taps) = (c.hidden_size, c.conv_kernel_size);
        let mut weight = self.values(&format!("{name}.depthwise_conv.weight"), d * taps).await?;
        let norm = |part: &str| format!("{name}.batch_norm.{part}");
        let scale = self.values(&norm("weight"), d).await?;
        let mut bias = self.values(&norm("bias"), d).await?;
        let mean = self.values(&norm("running_mean"), d).await?;
        let variance = self.values(&norm("running_var"), d).await?;
        let statistics = scale.iter().zip(&mean).zip(&variance);
        let channels = weight.chunks_exact_mut(taps).zip(&mut bias).zip(statistics).enumerate();
        for (i, ((weight, bias), ((&scale, &mean), &variance))) in channels {
            let factor = f64::from(scale) / (f64::from(variance) + BATCH_NORM_EPS).sqrt();
            if !factor.is_finite() {
                let message = format!("value [{i}] is {variance}, which is no variance");
                return Err(self.wrong(&norm("running_var"), message));
            }
            for tap in weight {
                *tap = (f64::from(*tap) * factor) as f32;
            }
            *bias = (f64::from(*bias) - f64::from(mean) * factor) as f32;
        }
        Ok(Depthwise {
            weight: self.upload(name, &turned(&weight, taps))?,
            bias: self.upload(name, &bias)?,
        })
    }

    async fn linear(&mut self, name: &str, [n, k]: [usize; 2], bias: bool) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), [n, k]).await?;
        let bias = if bias {
            Some(self.vector(&format!("{name}.bias"), n).await?)
        } else {
            None
        };
        Ok(Linear { weight, bias })
    }

    async fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Arc<Weight>> {
        let name = self.name(name);
        let (n, k) = self.loader.checkpoint().matrix(&name)?.extents();
        if [n, k] != shape {
            return Err(self.wrong(&name, format!("is [{n}, {k}], expected {shape:?} by the configuration")));
        }
        let weight = self.loader.matrix(&name, self.quant.format_of(&name), None).await?;
        self.weight_bytes += weight.size_bytes();
        self.made.note_weight(&weight);
        Ok(Arc::new(weight))
    }

    async fn vector(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let name = self.name(name);
        let tensor = self.loader.vector(&name, len).await?;
        Ok(self.made.note(tensor))
    }

    async fn norm(&mut self, name: &str, d: usize) -> Result<Norm> {
        Ok(Norm {
            weight: self.vector(&format!("{name}.weight"), d).await?,
            bias: Some(self.vector(&format!("{name}.bias"), d).await?),
            eps: LAYER_NORM_EPS,
        })
    }

    async fn table(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let values = self.values(name, len).await?;
        self.upload(name, &values)
    }

    /// All values of a small tensor of any shape.
    async fn values(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let name = self.name(name);
        let values = self.loader.checkpoint().read_f32(&name).await?;
        if values.len() == len {
            return Ok(values);
        }
        Err(self.wrong(&name, format!("has {} values, expected {len}", values.len())))
    }

    fn upload(&mut self, name: &str, values: &[f32]) -> Result<TensorId> {
        self.made.upload(self.loader.engine(), name, bytemuck::cast_slice(values))
    }

    fn name(&self, name: &str) -> String {
        match self.is_nemo {
            true => name.to_owned(),
            false => transformers_name(name),
        }
    }

    fn wrong(&self, tensor: &str, message: String) -> Error {
        Error::Tensor {
            file: self.loader.checkpoint().name().to_owned(),
            tensor: tensor.to_owned(),
            message,
        }
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn turned(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    let cells = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
    cells.map(|at| values[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated() {
        let cases = [
            ("encoder.pre_encode.conv.0.weight", "encoder.subsampling.layers.0.weight"),
            (
                "encoder.layers.3.conv.batch_norm.running_var",
                "encoder.layers.3.conv.norm.running_var",
            ),
            (
                "encoder.layers.0.self_attn.linear_pos.weight",
                "encoder.layers.0.self_attn.relative_k_proj.weight",
            ),
            ("encoder.layers.0.self_attn.pos_bias_u", "encoder.layers.0.self_attn.bias_u"),
            ("encoder.layers.0.norm_out.bias", "encoder.layers.0.norm_out.bias"),
            ("joint.enc.bias", "encoder_projector.bias"),
            ("decoder.prediction.dec_rnn.lstm.weight_ih_l0", "decoder.lstm.weight_ih_l0"),
        ];
        for (nemo, transformers) in cases {
            assert_eq!(transformers_name(nemo), transformers);
        }
    }

    #[test]
    fn taps_come_before_channels() {
        assert_eq!(turned(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
