//! Lowering of what works on rows: norms, masks, gathers, patches.

use super::Lowering;
use crate::error::{Error, Result};
use crate::kernel::gather_mix::GatherMix;
use crate::kernel::layer_norm::LayerNorm;
use crate::kernel::masked_add::MaskedAdd;
use crate::kernel::norm_four::NormFour;
use crate::kernel::overlay::Overlay;
use crate::kernel::patchify::Patchify;
use crate::kernel::rms_norm::RmsNorm;
use crate::kernel::take_last::TakeLast;
use crate::recording::Buffer;

impl Lowering<'_> {
    pub(super) fn rms_norm(&mut self, x: Buffer, weight: Buffer, eps: f32, y: Buffer) -> Result<()> {
        let (n_rows, d) = (self.recording.shape(x).rows(), self.recording.shape(x).last());
        self.expect("rms_norm", "weight", weight, &[d])?;
        self.expect("rms_norm", "y", y, &[n_rows, d])?;
        if n_rows * d == 0 {
            return Ok(());
        }
        if self.is_half(y) {
            return self.push(NormFour {
                x: self.operand(x),
                weight: self.operand(weight),
                bias: None,
                y: self.operand(y),
                half: true,
                n_rows,
                d,
                eps,
                workgroup: self.tuning.lanes,
            });
        }
        self.push(RmsNorm {
            x: self.operand(x),
            weight: self.operand(weight),
            y: self.operand(y),
            n_rows,
            d,
            eps,
            workgroup: self.tuning.row,
        })
    }

    pub(super) fn layer_norm(&mut self, x: Buffer, weight: Buffer, bias: Buffer, eps: f32, y: Buffer) -> Result<()> {
        let (n_rows, d) = (self.recording.shape(x).rows(), self.recording.shape(x).last());
        self.expect("layer_norm", "weight", weight, &[d])?;
        self.expect("layer_norm", "bias", bias, &[d])?;
        self.expect("layer_norm", "y", y, &[n_rows, d])?;
        if n_rows * d == 0 {
            return Ok(());
        }
        if self.is_half(y) {
            return self.push(NormFour {
                x: self.operand(x),
                weight: self.operand(weight),
                bias: Some(self.operand(bias)),
                y: self.operand(y),
                half: true,
                n_rows,
                d,
                eps,
                workgroup: self.tuning.lanes,
            });
        }
        self.push(LayerNorm {
            x: self.operand(x),
            weight: self.operand(weight),
            bias: self.operand(bias),
            y: self.operand(y),
            n_rows,
            d,
            eps,
            workgroup: self.tuning.row,
        })
    }

    pub(super) fn masked(&self, op: &'static str, [x, rows, mask]: [Buffer; 3], y: Buffer) -> Result<(usize, usize)> {
        let (t, d) = (self.n(mask), self.recording.shape(x).last());
        for (operand, buffer) in [("x", x), ("rows", rows), ("y", y)] {
            self.expect(op, operand, buffer, &[t, d])?;
        }
        Ok((t, d))
    }

    pub(super) fn overlay(&mut self, inputs: [Buffer; 3], y: Buffer) -> Result<()> {
        let (t, d) = self.masked("overlay", inputs, y)?;
        if t * d == 0 {
            return Ok(());
        }
        let [x, rows, mask] = inputs.map(|buffer| self.operand(buffer));
        self.push(Overlay {
            x,
            rows,
            mask,
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    pub(super) fn masked_add(&mut self, inputs: [Buffer; 3], y: Buffer) -> Result<()> {
        let (t, d) = self.masked("masked_add", inputs, y)?;
        if t * d == 0 {
            return Ok(());
        }
        let [x, rows, mask] = inputs.map(|buffer| self.operand(buffer));
        self.push(MaskedAdd {
            x,
            rows,
            mask,
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    pub(super) fn take_last(&mut self, x: Buffer, state: Buffer, y: Buffer) -> Result<()> {
        let (t, d) = (self.recording.shape(x).rows(), self.recording.shape(x).last());
        self.expect("take_last", "y", y, &[d])?;
        if t * d == 0 {
            return Ok(());
        }
        self.push(TakeLast {
            x: self.operand(x),
            state: self.operand(state),
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    pub(super) fn gather_mix(&mut self, table: Buffer, index: Buffer, mix: Buffer, y: Buffer) -> Result<()> {
        let (t, d) = (self.n(index) / 4, self.recording.shape(table).last());
        self.expect("gather_mix", "mix", mix, &[t, 4])?;
        self.expect("gather_mix", "y", y, &[t, d])?;
        if t * d == 0 {
            return Ok(());
        }
        self.push(GatherMix {
            table: self.operand(table),
            index: self.operand(index),
            mix: self.operand(mix),
            y: self.operand(y),
            t,
            d,
            workgroup: self.tuning.lanes,
        })
    }

    pub(super) fn patchify(
        &mut self,
        frames: Buffer,
        n_frames: usize,
        [height, width]: [usize; 2],
        side: usize,
        y: Buffer,
    ) -> Result<()> {
        self.expect("patchify", "frames", frames, &[n_frames, height, width, 3])?;
        self.expect("patchify", "y", y, &[6, height, width])?;
        let whole = |pixels: usize| side > 0 && pixels.is_multiple_of(2 * side);
        if !(1..=2).contains(&n_frames) || !whole(height) || !whole(width) {
            return Err(Error::Shape {
                op: "patchify",
                operand: "frames",
                found: self.recording.shape(frames).to_string(),
                expected: format!("1 or 2 frames, sides in multiples of {}", 2 * side),
            });
        }
        if height * width == 0 {
            return Ok(());
        }
        self.push(Patchify {
            frames: self.operand(frames),
            n_frames,
            height,
            width,
            side,
            y: self.operand(y),
            workgroup: self.tuning.lanes,
        })
    }
}
