//! FastConformer: from log-mel features to what the joint network reads, as a recording for a bucket of frames.
//! Source: parakeet-tdt.md §4 of the reference; NeMo `conformer_encoder.py`, `conformer_modules.py`.
//!
//! Letters: `T` frames (of mel at first, an eighth of them at last), `F` frequencies, `C` channels, `D` hidden, `H` heads,
//! `E` head size.

use super::config::{Config, SUBSAMPLING};
use crate::error::Result;
use crate::model::ops::{Linear, Norm, add, linear, linear_into, norm};
use crate::recording::speech::{Activation, LEVELS, Length, SpeechOp};
use crate::recording::{Buffer, Op, Recording};
use crate::tensor::{DType, TensorId};

/// A convolution of each channel by itself, as kernels read it.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise {
    pub weight: TensorId, // [taps, C] f32
    pub bias: TensorId,   // [C] f32
}

/// The encoder's weights.
#[derive(Clone, Debug)]
pub struct Encoder {
    pub config: Config,
    pub pre_encode: PreEncode,
    pub layers: Vec<Layer>,
    pub joint_enc: Linear, // [J, D]
}

/// Subsampling by eight.
#[derive(Clone, Debug)]
pub struct PreEncode {
    pub conv0: Depthwise, // from one channel to C
    pub conv2: Depthwise,
    pub conv3: Linear, // [C, C]
    pub conv5: Depthwise,
    pub conv6: Linear, // [C, C]
    pub out: Linear,   // [D, C·F/8]
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub norm_feed_forward1: Norm,
    pub feed_forward1: FeedForward,
    pub norm_self_att: Norm,
    pub linear_q: Linear,
    pub linear_k: Linear,
    pub linear_v: Linear,
    pub linear_pos: Linear,
    pub linear_out: Linear,
    pub pos_bias_u: TensorId, // [H, E] f32
    pub pos_bias_v: TensorId, // [H, E] f32
    pub norm_conv: Norm,
    pub pointwise_conv1: Linear, // [2D, D]
    /// With the batch norm in it.
    pub depthwise_conv: Depthwise, // [K, D]
    pub pointwise_conv2: Linear, // [D, D]
    pub norm_feed_forward2: Norm,
    pub feed_forward2: FeedForward,
    pub norm_out: Norm,
}

#[derive(Clone, Debug)]
pub struct FeedForward {
    pub linear1: Linear, // [F, D]
    pub linear2: Linear, // [D, F]
}

/// Inputs and output of a bucket of `n_mel` mel frames, a multiple of eight.
#[derive(Clone, Copy, Debug)]
pub struct EncoderIo {
    pub n_mel: usize,
    pub features: TensorId, // [n_mel, F] f32
    /// Frames that count, before each halving and after the last.
    pub lengths: TensorId, // [4] u32
    pub positions: TensorId, // [2 n_mel/8 − 1, D] f32, see `positions`
    pub enc: TensorId,      // [≥ n_mel/8, J] f32
}

/// Frames that count at each level, from mel frames.
pub fn lengths(n_mel: usize) -> [u32; LEVELS] {
    let half = |n: usize| n.div_ceil(2);
    [n_mel, half(n_mel), half(half(n_mel)), half(half(half(n_mel)))].map(|n| n as u32)
}

/// Sines and cosines of the distances T−1 … −(T−1), `[2T − 1, D]`, interleaved.
pub fn positions(n_frames: usize, width: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity((2 * n_frames).saturating_sub(1) * width);
    for row in 0..(2 * n_frames).saturating_sub(1) {
        let distance = n_frames as f64 - 1.0 - row as f64;
        for i in 0..width {
            let frequency = 10_000f64.powf(-((i / 2 * 2) as f64) / width as f64);
            let angle = distance * frequency;
            values.push(if i % 2 == 0 { angle.sin() } else { angle.cos() } as f32);
        }
    }
    values
}

impl Encoder {
    /// The whole encoder, cut between layers. Taps are `sub.conv2` …, `sub.out`, `layer0.ff1` …, `layer0.out` …, `encoder`,
    /// `enc_proj`.
    pub fn record(&self, io: &EncoderIo) -> Result<Recording> {
        let (c, rec) = (&self.config, &mut Recording::new(format!("encode speech {}", io.n_mel)));
        let lengths = rec.bind(io.lengths, DType::U32, [LEVELS]);
        let features = rec.bind(io.features, DType::F32, [io.n_mel, c.num_mel_bins, 1]);
        let n = io.n_mel / SUBSAMPLING;
        let positions = rec.bind(io.positions, DType::F32, [2 * n - 1, c.hidden_size]);
        let mut x = self.pre_encode.record(rec, features, lengths)?; // [T/8, D]
        for (i, layer) in self.layers.iter().enumerate() {
            rec.cut();
            let name = |part: &str| format!("layer{i}.{part}");
            x = layer.record(rec, c, x, positions, lengths, &name)?;
            rec.tap(name("out"), x);
        }
        rec.tap("encoder", x);
        let enc = rec.bind(io.enc, DType::F32, [n, c.joint_hidden_size]);
        linear_into(rec, x, &self.joint_enc, enc)?;
        rec.tap("enc_proj", enc);
        Ok(std::mem::take(rec))
    }
}

impl PreEncode {
    fn record(&self, rec: &mut Recording, features: Buffer, lengths: Buffer) -> Result<Buffer> {
        let level = |level| Length { lengths, level };
        let x = conv_down(rec, features, false, level(0), &self.conv0, &self.conv3)?; // [T/2, F/2, C]
        let x = conv_down(rec, x, true, level(1), &self.conv2, &self.conv3)?; // [T/4, F/4, C]
        rec.tap("sub.conv2", x);
        let x = pointwise(rec, x, &self.conv3)?;
        rec.tap("sub.conv3", x);
        let x = conv_down(rec, x, true, level(2), &self.conv5, &self.conv6)?; // [T/8, F/8, C]
        rec.tap("sub.conv5", x);
        let x = pointwise(rec, x, &self.conv6)?;
        rec.tap("sub.conv6", x);
        let &[t, f, c] = rec.shape(x).0.as_slice() else {
            return linear(rec, x, &self.out);
        };
        let y = rec.temp([t, c, f]);
        let length = level(3);
        rec.ops.push(Op::Speech(SpeechOp::SwapRelu { x, length, y }));
        let y = rec.view(y, [t, c * f])?;
        let y = linear(rec, y, &self.out)?; // [T/8, D]
        rec.tap("sub.out", y);
        Ok(y)
    }
}

/// Halves time and frequency; `after` says how many channels there are.
fn conv_down(rec: &mut Recording, x: Buffer, relu: bool, length: Length, conv: &Depthwise, after: &Linear) -> Result<Buffer> {
    let (shape, c) = (rec.shape(x).0.clone(), after.weight.k);
    let y = rec.temp([shape[0].div_ceil(2), shape[1].div_ceil(2), c]);
    let op = SpeechOp::ConvDown {
        x,
        relu,
        length,
        weight: rec.bind(conv.weight, DType::F32, [9, c]),
        bias: rec.bind(conv.bias, DType::F32, [c]),
        y,
    };
    op.check(rec)?;
    rec.ops.push(Op::Speech(op));
    Ok(y)
}

/// A linear layer over the channels, `[T, F, C]` as it was.
fn pointwise(rec: &mut Recording, x: Buffer, conv: &Linear) -> Result<Buffer> {
    let shape = rec.shape(x).clone();
    let y = linear(rec, x, conv)?;
    rec.view(y, shape)
}

impl Layer {
    /// x + ½ FF, + attention, + convolution, + ½ FF, then a norm; x `[T, D]`.
    fn record(
        &self,
        rec: &mut Recording,
        c: &Config,
        x: Buffer,
        positions: Buffer,
        lengths: Buffer,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Buffer> {
        let length = Length { lengths, level: 3 };
        let h = norm(rec, x, &self.norm_feed_forward1)?;
        let h = self.feed_forward1.record(rec, h)?;
        rec.tap(name("ff1"), h);
        let x = add_scaled(rec, x, h, 0.5);
        let h = norm(rec, x, &self.norm_self_att)?;
        let h = self.attention(rec, c, h, positions, length)?;
        rec.tap(name("attn"), h);
        let x = add(rec, x, h)?;
        let h = norm(rec, x, &self.norm_conv)?;
        let h = self.convolution(rec, c, h, length)?;
        rec.tap(name("conv"), h);
        let x = add(rec, x, h)?;
        let h = norm(rec, x, &self.norm_feed_forward2)?;
        let h = self.feed_forward2.record(rec, h)?;
        rec.tap(name("ff2"), h);
        let x = add_scaled(rec, x, h, 0.5);
        norm(rec, x, &self.norm_out)
    }

    fn attention(&self, rec: &mut Recording, c: &Config, h: Buffer, positions: Buffer, length: Length) -> Result<Buffer> {
        let (heads, e) = (c.num_attention_heads, c.head_dim());
        let (t, n_distances) = (rec.shape(h).rows(), rec.shape(positions).rows());
        let mut split = |x: Buffer, layer: &Linear, rows: usize| {
            let y = linear(rec, x, layer)?;
            rec.view(y, [rows, heads, e])
        };
        let q = split(h, &self.linear_q, t)?;
        let k = split(h, &self.linear_k, t)?;
        let values = split(h, &self.linear_v, t)?;
        let r = split(positions, &self.linear_pos, n_distances)?;
        let y = rec.temp([t, heads, e]);
        let op = SpeechOp::RelAttention {
            q,
            k,
            values,
            r,
            u: rec.bind(self.pos_bias_u, DType::F32, [heads, e]),
            v: rec.bind(self.pos_bias_v, DType::F32, [heads, e]),
            length,
            scale: (e as f32).powf(-0.5),
            y,
        };
        rec.ops.push(Op::Speech(op));
        let y = rec.view(y, [t, heads * e])?;
        linear(rec, y, &self.linear_out)
    }

    fn convolution(&self, rec: &mut Recording, c: &Config, h: Buffer, length: Length) -> Result<Buffer> {
        let (t, d) = (rec.shape(h).rows(), c.hidden_size);
        let x = linear(rec, h, &self.pointwise_conv1)?; // [T, 2D]
        let gated = rec.temp([t, d]);
        rec.ops.push(Op::Speech(SpeechOp::Glu { x, y: gated }));
        let y = rec.temp([t, d]);
        let op = SpeechOp::DepthwiseConv {
            x: gated,
            length,
            weight: rec.bind(self.depthwise_conv.weight, DType::F32, [c.conv_kernel_size, d]),
            bias: rec.bind(self.depthwise_conv.bias, DType::F32, [d]),
            y,
        };
        rec.ops.push(Op::Speech(op));
        let y = silu(rec, y);
        linear(rec, y, &self.pointwise_conv2)
    }
}

impl FeedForward {
    fn record(&self, rec: &mut Recording, h: Buffer) -> Result<Buffer> {
        let h = linear(rec, h, &self.linear1)?; // [T, F]
        let h = silu(rec, h);
        linear(rec, h, &self.linear2)
    }
}

fn silu(rec: &mut Recording, x: Buffer) -> Buffer {
    let y = rec.temp(rec.shape(x).clone());
    let form = Activation::Silu;
    rec.ops.push(Op::Speech(SpeechOp::Activate { x, form, y }));
    y
}

fn add_scaled(rec: &mut Recording, a: Buffer, b: Buffer, scale: f32) -> Buffer {
    let y = rec.temp(rec.shape(a).clone());
    rec.ops.push(Op::Speech(SpeechOp::AddScaled { a, b, scale, y }));
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_halve_and_round_up() {
        assert_eq!(lengths(64), [64, 32, 16, 8]);
        assert_eq!(lengths(63), [63, 32, 16, 8]);
        assert_eq!(lengths(129), [129, 65, 33, 17]);
        assert_eq!(lengths(1), [1; 4]);
        assert_eq!(lengths(0), [0; 4]);
    }

    #[test]
    fn positions_go_from_far_to_near_to_far() {
        let table = positions(3, 4);
        assert_eq!(table.len(), 5 * 4);
        assert_eq!(table[8..12], [0.0, 1.0, 0.0, 1.0]);
        assert!((table[0] - 2f32.sin()).abs() < 1e-7 && (table[16] + 2f32.sin()).abs() < 1e-7);
        assert!((table[3] - 0.02f32.cos()).abs() < 1e-7);
    }
}
