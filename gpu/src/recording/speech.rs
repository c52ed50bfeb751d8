//! The operations that speech needs beside those of [`super::Op`], with their formulas: subsampling, convolution modules,
//! relative-position attention, and the steps of a transducer that decides on the engine when to go on.

use bytemuck::{Pod, Zeroable};

use super::Buffer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x / (1 + exp(−x))
    Silu,
}

/// How many rows of a buffer count: word `level` of `lengths`, `[4]` u32. Recordings are made for a bucket of rows and
/// played with fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    pub lengths: Buffer,
    pub level: usize,
}

/// Words of [`Length::lengths`].
pub const LEVELS: usize = 4;

/// One operation. Letters: `T` rows in time, `F` in frequency, `C` channels, `D` width, `H` heads, `E` head size. `n` is
/// what the [`Length`] says.
#[derive(Clone, Debug)]
pub enum SpeechOp {
    Activate {
        x: Buffer,
        form: Activation,
        y: Buffer,
    },
    /// `y = a + scale · b`, all of one shape.
    AddScaled {
        a: Buffer,
        b: Buffer,
        scale: f32,
        y: Buffer,
    },
    /// `y[t, d] = x[t, d] · σ(x[t, D + d])`; x `[T, 2D]`, y `[T, D]`.
    Glu {
        x: Buffer,
        y: Buffer,
    },
    /// 3×3, stride 2, padding 1, each channel by itself:
    /// `y[t, f, c] = bias[c] + Σ_ij weight[3i + j, c] · x'[2t + i − 1, 2f + j − 1, c]`; x `[T, F, C]`, or `[T, F, 1]` which all
    /// channels read; weight `[9, C]`, bias `[C]`, y `[⌈T/2⌉, ⌈F/2⌉, C]`. x' is max(x, 0) if `relu`, else x, and 0 outside
    /// and in rows ≥ n.
    ConvDown {
        x: Buffer,
        relu: bool,
        length: Length,
        weight: Buffer,
        bias: Buffer,
        y: Buffer,
    },
    /// `y[t, c, f] = max(x[t, f, c], 0)` for t < n, else 0; x `[T, F, C]`, y `[T, C, F]`.
    SwapRelu {
        x: Buffer,
        length: Length,
        y: Buffer,
    },
    /// `y[t, d] = bias[d] + Σ_i weight[i, d] · x'[t + i − K/2, d]`, x' 0 outside and in rows ≥ n; x, y `[T, D]`, weight
    /// `[K, D]`, K odd, bias `[D]`.
    DepthwiseConv {
        x: Buffer,
        length: Length,
        weight: Buffer,
        bias: Buffer,
        y: Buffer,
    },
    /// Every query sees the first n keys: `softmax_j(((q_i + u) · k_j + (q_i + v) · r[T − 1 − i + j]) · scale)` weighs
    /// values; q, k, values, y `[T, H, E]`, r `[2T − 1, H, E]` (row 0 is the distance T − 1), u and v `[H, E]`. Zeros for n 0.
    /// Source: arXiv:1901.02860 §3.3.
    RelAttention {
        q: Buffer,
        k: Buffer,
        values: Buffer,
        r: Buffer,
        u: Buffer,
        v: Buffer,
        length: Length,
        scale: f32,
        y: Buffer,
    },
    /// `y = max(enc[min(state.frame, T − 1)] + g, 0)`; enc `[T, D]`, g and y `[1, D]`.
    TdtHidden {
        enc: Buffer,
        g: Buffer,
        state: Buffer,
        y: Buffer,
    },
    /// Chooses a token and a duration and moves the state on; see [`TdtState`].
    TdtStep(TdtStep),
    /// Where `state.fed` is not 0, with (i, f, g, o) the quarters of gates `[1, 4D]`: `c = σ(f) · c + σ(i) · tanh(g)`,
    /// `h = σ(o) · tanh(c)`; h and c `[1, D]`, changed. Else nothing.
    LstmCell {
        gates: Buffer,
        state: Buffer,
        h: Buffer,
        c: Buffer,
    },
}

/// Operands of [`SpeechOp::TdtStep`].
#[derive(Clone, Copy, Debug)]
pub struct TdtStep {
    /// `[1, V + 1 + n]` f32: tokens, blank, then durations.
    pub logits: Buffer,
    /// `[n]` u32: what a chosen duration stands for.
    pub durations: Buffer,
    /// Tokens at one frame without moving on, before it moves on by itself.
    pub max_symbols: u32,
    /// [`TdtState`], changed.
    pub state: Buffer,
    /// `[1]` u32: the token that the prediction network is fed next; written.
    pub ids: Buffer,
    /// `[ring_len, RING_WORDS]` u32: at `state.step % ring_len` (token, frame, duration, next frame, bits of the f32
    /// log-probability of the token among all tokens and blank); written.
    pub ring: Buffer,
}

/// Words of an entry of [`TdtStep::ring`].
pub const RING_WORDS: usize = 5;

/// Where a transducer is in its frames. A step does, unless `done`:
///
/// 1. `k` = the largest of logits `0 ..= V`, `d` = the duration at the largest of the others (the lowest index on a tie).
/// 2. Blank, k = V: `frame += max(d, 1)`, `fed = 0`.
/// 3. A token: `run` = run + 1 if `frame = run_frame`, else 1; `run_frame = frame`; `frame += d`; if d = 0 and
///    run ≥ max_symbols, `frame += 1`; `ids = k`, `last_id = k`, `fed = 1`.
/// 4. The ring has the step; `step += 1`; `done = frame ≥ end`.
///
/// If `done`, `fed = 0` and nothing else.
/// Source: NeMo `tdt_label_looping`; parakeet-tdt.md §5 of the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TdtState {
    pub frame: u32,
    /// Frames before this are decoded.
    pub end: u32,
    /// The prediction network has to take `ids` in.
    pub fed: u32,
    pub step: u32,
    pub run: u32,
    pub run_frame: u32,
    pub done: u32,
    pub last_id: u32,
}

impl SpeechOp {
    /// The operation's name, which is its kernel's.
    pub fn name(&self) -> &'static str {
        match self {
            SpeechOp::Activate { .. } => "activate",
            SpeechOp::AddScaled { .. } => "add_scaled",
            SpeechOp::Glu { .. } => "glu",
            SpeechOp::ConvDown { .. } => "conv_down",
            SpeechOp::SwapRelu { .. } => "swap_relu",
            SpeechOp::DepthwiseConv { .. } => "depthwise_conv",
            SpeechOp::RelAttention { .. } => "rel_attention",
            SpeechOp::TdtHidden { .. } => "tdt_hidden",
            SpeechOp::TdtStep(_) => "tdt_step",
            SpeechOp::LstmCell { .. } => "lstm_cell",
        }
    }

    /// Buffers whose contents matter.
    pub fn reads(&self) -> Vec<Buffer> {
        let mut reads = self.unchanged();
        match self {
            SpeechOp::TdtStep(step) => reads.push(step.state),
            SpeechOp::LstmCell { c, h, .. } => reads.extend([*c, *h]),
            _ => {}
        }
        reads
    }

    /// Buffers that are read and not written.
    pub fn unchanged(&self) -> Vec<Buffer> {
        match self {
            SpeechOp::Activate { x, .. } | SpeechOp::Glu { x, .. } => vec![*x],
            SpeechOp::AddScaled { a, b, .. } => vec![*a, *b],
            SpeechOp::SwapRelu { x, length, .. } => vec![*x, length.lengths],
            SpeechOp::ConvDown {
                x, length, weight, bias, ..
            }
            | SpeechOp::DepthwiseConv {
                x, length, weight, bias, ..
            } => vec![*x, length.lengths, *weight, *bias],
            SpeechOp::RelAttention {
                q,
                k,
                values,
                r,
                u,
                v,
                length,
                ..
            } => vec![*q, *k, *values, *r, *u, *v, length.lengths],
            SpeechOp::TdtHidden { enc, g, state, .. } => vec![*enc, *g, *state],
            SpeechOp::TdtStep(step) => vec![step.logits, step.durations],
            SpeechOp::LstmCell { gates, state, .. } => vec![*gates, *state],
        }
    }

    /// Buffers that are written or changed.
    pub fn writes(&self) -> Vec<Buffer> {
        match self {
            SpeechOp::Activate { y, .. }
            | SpeechOp::AddScaled { y, .. }
            | SpeechOp::Glu { y, .. }
            | SpeechOp::ConvDown { y, .. }
            | SpeechOp::SwapRelu { y, .. }
            | SpeechOp::DepthwiseConv { y, .. }
            | SpeechOp::RelAttention { y, .. }
            | SpeechOp::TdtHidden { y, .. } => vec![*y],
            SpeechOp::TdtStep(step) => vec![step.state, step.ids, step.ring],
            SpeechOp::LstmCell { h, c, .. } => vec![*h, *c],
        }
    }
}
