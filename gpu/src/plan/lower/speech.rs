//! Lowering of what speech alone needs: a kernel an operation.

use super::Lowering;
use crate::error::Result;
use crate::kernel::activate::Activate;
use crate::kernel::add_scaled::AddScaled;
use crate::kernel::conv_down::ConvDown;
use crate::kernel::depthwise_conv::DepthwiseConv;
use crate::kernel::glu::Glu;
use crate::kernel::lstm_cell::LstmCell;
use crate::kernel::rel_attention::RelAttention;
use crate::kernel::swap_relu::SwapRelu;
use crate::kernel::tdt_hidden::TdtHidden;
use crate::kernel::tdt_step::TdtStep;
use crate::recording::speech::SpeechOp;

impl Lowering<'_> {
    /// Errors: `Shape` for operands that do not fit together.
    pub(super) fn speech(&mut self, op: &SpeechOp) -> Result<()> {
        op.check(self.recording)?;
        // What has no values needs no kernel; a step always has.
        if op.writes().iter().any(|&buffer| self.n(buffer) == 0) {
            return Ok(());
        }
        let workgroup = self.tuning.lanes;
        match op {
            SpeechOp::Activate { x, form, y } => self.push(Activate {
                x: self.operand(*x),
                form: *form,
                y: self.operand(*y),
                n: self.n(*y),
                workgroup,
            }),
            SpeechOp::AddScaled { a, b, scale, y } => self.push(AddScaled {
                a: self.operand(*a),
                b: self.operand(*b),
                y: self.operand(*y),
                scale: *scale,
                n: self.n(*y),
                workgroup,
            }),
            SpeechOp::Glu { x, y } => self.push(Glu {
                x: self.operand(*x),
                y: self.operand(*y),
                t: self.extents(*y)[0],
                d: self.extents(*y)[1],
                workgroup,
            }),
            SpeechOp::ConvDown {
                x,
                relu,
                length,
                weight,
                bias,
                y,
            } => self.push(ConvDown {
                x: self.operand(*x),
                lengths: self.operand(length.lengths),
                weight: self.operand(*weight),
                bias: self.operand(*bias),
                y: self.operand(*y),
                extents: [self.extents(*x)[0], self.extents(*x)[1], self.n(*bias)],
                shared: self.extents(*x)[2] == 1,
                level: length.level,
                relu: *relu,
                workgroup,
            }),
            SpeechOp::SwapRelu { x, length, y } => self.push(SwapRelu {
                x: self.operand(*x),
                lengths: self.operand(length.lengths),
                y: self.operand(*y),
                extents: [0, 1, 2].map(|axis| self.extents(*x)[axis]),
                level: length.level,
                workgroup,
            }),
            SpeechOp::DepthwiseConv {
                x,
                length,
                weight,
                bias,
                y,
            } => self.push(DepthwiseConv {
                x: self.operand(*x),
                lengths: self.operand(length.lengths),
                weight: self.operand(*weight),
                bias: self.operand(*bias),
                y: self.operand(*y),
                t: self.extents(*x)[0],
                d: self.extents(*x)[1],
                k: self.extents(*weight)[0],
                level: length.level,
                workgroup,
            }),
            SpeechOp::RelAttention {
                q,
                k,
                values,
                r,
                u,
                v,
                length,
                scale,
                y,
            } => self.push(RelAttention {
                q: self.operand(*q),
                k: self.operand(*k),
                values: self.operand(*values),
                r: self.operand(*r),
                u: self.operand(*u),
                v: self.operand(*v),
                lengths: self.operand(length.lengths),
                y: self.operand(*y),
                t: self.extents(*q)[0],
                heads: self.extents(*q)[1],
                e: self.extents(*q)[2],
                level: length.level,
                scale: *scale,
            }),
            SpeechOp::TdtHidden { enc, g, state, y } => self.push(TdtHidden {
                enc: self.operand(*enc),
                g: self.operand(*g),
                state: self.operand(*state),
                y: self.operand(*y),
                t: self.extents(*enc)[0],
                d: self.extents(*enc)[1],
                workgroup,
            }),
            SpeechOp::TdtStep(step) => self.push(TdtStep {
                logits: self.operand(step.logits),
                durations: self.operand(step.durations),
                state: self.operand(step.state),
                ids: self.operand(step.ids),
                ring: self.operand(step.ring),
                n_tokens: self.n(step.logits) - self.n(step.durations),
                n_durations: self.n(step.durations),
                max_symbols: step.max_symbols,
                ring_len: self.extents(step.ring)[0],
                workgroup: self.tuning.sample,
            }),
            SpeechOp::LstmCell { gates, state, h, c } => self.push(LstmCell {
                gates: self.operand(*gates),
                state: self.operand(*state),
                h: self.operand(*h),
                c: self.operand(*c),
                d: self.n(*h),
                workgroup,
            }),
        }
    }
}
