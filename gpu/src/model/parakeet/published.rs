//! The published shape of Parakeet-TDT by name, and random weights of it: enough to measure without a download.
//! Source: parakeet-tdt.md §1 and §2 of the reference.

use super::config::Config;
use super::load::transformers_name;
use crate::error::Result;
use crate::model::qwen3_vl::random::RandomWeights;
use crate::protocol::Quant;

pub const NAMES: [&str; 1] = ["parakeet-0.6b"];

/// The configuration of a published shape as transformers writes it, of which what does not concern shapes is left out.
pub fn config_json(name: &str) -> Option<&'static str> {
    (name == NAMES[0]).then_some(include_str!("parakeet-0.6b.json"))
}

/// A checkpoint of a shape with random weights in f16, which the loader packs as it is asked to.
///
/// Errors: those of [`Config::from_json`].
pub fn random(name: &str, json: &str, seed: u64) -> Result<RandomWeights> {
    let tensors = tensors(&Config::from_json(json)?);
    Ok(RandomWeights::of_tensors(name, json, &tensors, Quant::DenseF16, seed))
}

/// Every tensor of such a checkpoint and its extents, by transformers' names.
pub fn tensors(c: &Config) -> Vec<(String, Vec<usize>)> {
    let mut list = List(Vec::new());
    let channels = c.subsampling_conv_channels;
    let conv = |i: usize| format!("encoder.pre_encode.conv.{i}");
    for (i, extents) in [
        (0, [channels, 1, 3, 3]),
        (2, [channels, 1, 3, 3]),
        (3, [channels, channels, 1, 1]),
        (5, [channels, 1, 3, 3]),
        (6, [channels, channels, 1, 1]),
    ] {
        list.with_bias(&conv(i), &extents);
    }
    let (d, f) = (c.hidden_size, c.intermediate_size);
    list.with_bias("encoder.pre_encode.out", &[d, channels * c.num_mel_bins.div_ceil(8)]);
    for i in 0..c.num_hidden_layers {
        let name = |part: &str| format!("encoder.layers.{i}.{part}");
        for norm in ["feed_forward1", "self_att", "conv", "feed_forward2", "out"] {
            list.with_bias(&name(&format!("norm_{norm}")), &[d]);
        }
        for part in ["feed_forward1", "feed_forward2"] {
            list.add(&name(&format!("{part}.linear1.weight")), &[f, d]);
            list.add(&name(&format!("{part}.linear2.weight")), &[d, f]);
        }
        for part in ["q", "k", "v", "pos", "out"] {
            list.add(&name(&format!("self_attn.linear_{part}.weight")), &[d, d]);
        }
        for part in ["u", "v"] {
            list.add(
                &name(&format!("self_attn.pos_bias_{part}")),
                &[c.num_attention_heads, c.head_dim()],
            );
        }
        list.add(&name("conv.pointwise_conv1.weight"), &[2 * d, d, 1]);
        list.add(&name("conv.depthwise_conv.weight"), &[d, 1, c.conv_kernel_size]);
        list.add(&name("conv.pointwise_conv2.weight"), &[d, d, 1]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            list.add(&name(&format!("conv.batch_norm.{part}")), &[d]);
        }
    }
    let (p, j) = (c.decoder_hidden_size, c.joint_hidden_size);
    list.add("decoder.prediction.embed.weight", &[c.n_tokens + 1, p]);
    for i in 0..c.num_decoder_layers {
        for part in ["ih", "hh"] {
            let name = |kind: &str| format!("decoder.prediction.dec_rnn.lstm.{kind}_{part}_l{i}");
            list.add(&name("weight"), &[4 * p, p]);
            list.add(&name("bias"), &[4 * p]);
        }
    }
    list.with_bias("joint.enc", &[j, d]);
    list.with_bias("joint.pred", &[j, p]);
    list.with_bias("joint.joint_net.2", &[c.n_tokens + 1 + c.durations.len(), j]);
    list.0
}

struct List(Vec<(String, Vec<usize>)>);

impl List {
    /// By NeMo's name.
    fn add(&mut self, name: &str, extents: &[usize]) {
        self.0.push((transformers_name(name), extents.to_vec()));
    }

    fn with_bias(&mut self, name: &str, extents: &[usize]) {
        self.add(&format!("{name}.weight"), extents);
        self.add(&format!("{name}.bias"), &extents[..1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_shape_has_its_parameters() -> Result<()> {
        for name in NAMES {
            let config = Config::from_json(config_json(name).unwrap_or_default())?;
            let n: usize = tensors(&config)
                .iter()
                .map(|(_, extents)| extents.iter().product::<usize>())
                .sum();
            // The checkpoint's 2,472,222,720 bytes are f32 values and little else.
            assert!((0.61e9..0.62e9).contains(&(n as f64)), "{name}: {n}");
        }
        assert_eq!(config_json("parakeet"), None);
        Ok(())
    }
}
