//! Holds the operations of speech to the shapes and element types of their formulas, for engines of all kinds.

use super::speech::{LEVELS, Length, RING_WORDS, SpeechOp, TdtState, TdtStep};
use super::{Buffer, Recording};
use crate::error::{Error, Result};
use crate::tensor::DType;

/// Words of a [`TdtState`].
const STATE_WORDS: usize = size_of::<TdtState>() / 4;

impl SpeechOp {
    /// Errors: [`Error::Shape`] naming the operand that does not fit.
    pub fn check(&self, rec: &Recording) -> Result<()> {
        let shapes = Shapes { rec, op: self.name() };
        let f32s = self.unchanged().into_iter().chain(self.writes());
        let is_words = |buffer: &Buffer| match self {
            SpeechOp::ConvDown { length, .. }
            | SpeechOp::SwapRelu { length, .. }
            | SpeechOp::DepthwiseConv { length, .. }
            | SpeechOp::RelAttention { length, .. } => *buffer == length.lengths,
            SpeechOp::TdtHidden { state, .. } | SpeechOp::LstmCell { state, .. } => buffer == state,
            SpeechOp::TdtStep(step) => *buffer != step.logits,
            _ => false,
        };
        for buffer in f32s {
            let expected = if is_words(&buffer) { DType::U32 } else { DType::F32 };
            let found = rec.info(buffer).dtype;
            if found != expected {
                return Err(shapes.wrong("dtype", buffer, format!("{found:?}"), format!("{expected:?}")));
            }
        }
        match self {
            SpeechOp::Activate { x, y, .. } => shapes.like("x", *x, *y),
            SpeechOp::AddScaled { a, b, y, .. } => {
                shapes.like("a", *a, *y)?;
                shapes.like("b", *b, *y)
            }
            SpeechOp::Glu { x, y } => {
                let [t, d] = shapes.extents("y", *y)?;
                shapes.is("x", *x, &[t, 2 * d])
            }
            SpeechOp::ConvDown {
                x,
                length,
                weight,
                bias,
                y,
                ..
            } => {
                let [t, f, found] = shapes.extents("x", *x)?;
                let c = rec.shape(*bias).n();
                shapes.holds("x", *x, found == c || found == 1, format!("[T, F, {c} or 1]"))?;
                shapes.length(length)?;
                shapes.is("weight", *weight, &[9, c])?;
                shapes.is("y", *y, &[t.div_ceil(2), f.div_ceil(2), c])
            }
            SpeechOp::SwapRelu { x, length, y } => {
                let [t, f, c] = shapes.extents("x", *x)?;
                shapes.length(length)?;
                shapes.is("y", *y, &[t, c, f])
            }
            SpeechOp::DepthwiseConv {
                x,
                length,
                weight,
                bias,
                y,
            } => {
                let [_, d] = shapes.extents("x", *x)?;
                let [k, found] = shapes.extents("weight", *weight)?;
                shapes.length(length)?;
                shapes.holds("weight", *weight, k % 2 == 1 && found == d, format!("[odd, {d}]"))?;
                shapes.is("bias", *bias, &[d])?;
                shapes.like("y", *y, *x)
            }
            SpeechOp::RelAttention {
                q,
                k,
                values,
                r,
                u,
                v,
                length,
                y,
                ..
            } => {
                let [t, h, e] = shapes.extents("q", *q)?;
                shapes.length(length)?;
                for (operand, buffer) in [("k", k), ("values", values), ("y", y)] {
                    shapes.is(operand, *buffer, &[t, h, e])?;
                }
                shapes.is("r", *r, &[(2 * t).saturating_sub(1), h, e])?;
                shapes.is("u", *u, &[h, e])?;
                shapes.is("v", *v, &[h, e])
            }
            SpeechOp::TdtHidden { enc, g, state, y } => {
                let [t, d] = shapes.extents("enc", *enc)?;
                shapes.holds("enc", *enc, t > 0, "at least one row".into())?;
                shapes.is("state", *state, &[STATE_WORDS])?;
                shapes.is("g", *g, &[1, d])?;
                shapes.is("y", *y, &[1, d])
            }
            SpeechOp::TdtStep(step) => shapes.step(step),
            SpeechOp::LstmCell { gates, state, h, c } => {
                let d = rec.shape(*h).n();
                shapes.is("state", *state, &[STATE_WORDS])?;
                shapes.is("gates", *gates, &[1, 4 * d])?;
                shapes.is("c", *c, &[1, d])
            }
        }
    }
}

struct Shapes<'a> {
    rec: &'a Recording,
    op: &'static str,
}

impl Shapes<'_> {
    fn step(&self, step: &TdtStep) -> Result<()> {
        let n = self.rec.shape(step.durations).n();
        let logits = self.rec.shape(step.logits).n();
        let fits = n > 0 && logits > n;
        self.holds("logits", step.logits, fits, format!("tokens, blank, and {n} durations"))?;
        self.is("state", step.state, &[STATE_WORDS])?;
        self.is("ids", step.ids, &[1])?;
        let [ring_len, words] = self.extents("ring", step.ring)?;
        let fits = ring_len > 0 && words == RING_WORDS;
        self.holds("ring", step.ring, fits, format!("[at least 1, {RING_WORDS}]"))
    }

    fn length(&self, length: &Length) -> Result<()> {
        self.is("lengths", length.lengths, &[LEVELS])?;
        self.holds(
            "lengths",
            length.lengths,
            length.level < LEVELS,
            format!("more than {} words", length.level),
        )
    }

    /// Exactly so many extents.
    fn extents<const N: usize>(&self, operand: &'static str, buffer: Buffer) -> Result<[usize; N]> {
        let shape = self.rec.shape(buffer);
        let extents = shape.0.as_slice().try_into();
        extents.map_err(|_| self.wrong(operand, buffer, shape.to_string(), format!("{N} extents")))
    }

    fn is(&self, operand: &'static str, buffer: Buffer, extents: &[usize]) -> Result<()> {
        self.holds(operand, buffer, self.rec.shape(buffer).0 == extents, format!("{extents:?}"))
    }

    fn like(&self, operand: &'static str, buffer: Buffer, other: Buffer) -> Result<()> {
        let expected = self.rec.shape(other);
        self.holds(operand, buffer, self.rec.shape(buffer) == expected, expected.to_string())
    }

    fn holds(&self, operand: &'static str, buffer: Buffer, holds: bool, expected: String) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(self.wrong(operand, buffer, self.rec.shape(buffer).to_string(), expected))
    }

    fn wrong(&self, operand: &'static str, buffer: Buffer, found: String, expected: String) -> Error {
        Error::Shape {
            op: self.op,
            operand,
            found: format!("{found} (buffer {})", buffer.0),
            expected,
        }
    }
}
