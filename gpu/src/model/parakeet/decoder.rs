//! The transducer: a prediction network (embedding and LSTM) over the tokens so far, and a joint network that looks at it and
//! at one frame. Which frame, and whether a token came of it, is decided on the engine; see [`TdtState`].
//! Source: parakeet-tdt.md §5 of the reference; arXiv:2304.06795.

use std::sync::Arc;

use super::config::Config;
use crate::error::Result;
use crate::model::ops::{Linear, add, embed, linear, linear_into};
use crate::recording::speech::{RING_WORDS, SpeechOp, TdtState, TdtStep};
use crate::recording::{Buffer, Op, Recording};
use crate::tensor::{DType, TensorId};
use crate::weights::Weight;

/// The decoder's weights. `P` prediction size, `J` joint size, `V` tokens.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub config: Config,
    pub embed: Arc<Weight>, // [V + 1, P]
    pub lstm: Vec<LstmLayer>,
    pub joint_pred: Linear,  // [J, P]
    pub joint_head: Linear,  // [V + 1 + durations, J]
    pub durations: TensorId, // [n] u32
}

#[derive(Clone, Debug)]
pub struct LstmLayer {
    pub ih: Linear, // [4P, P], rows i, f, g, o
    pub hh: Linear,
}

/// Where a decoder is, as tensors of the engine.
#[derive(Clone, Debug)]
pub struct Memory {
    pub state: TensorId, // TdtState
    pub ids: TensorId,   // [1] u32
    /// h and c of each layer, `[1, P]` f32.
    pub lstm: Vec<(TensorId, TensorId)>,
    pub g: TensorId,    // [1, J] f32
    pub enc: TensorId,  // [n_enc, J] f32
    pub ring: TensorId, // [ring_len, RING_WORDS] u32
    pub n_enc: usize,
    pub ring_len: usize,
}

pub const STATE_WORDS: usize = size_of::<TdtState>() / 4;

impl Decoder {
    /// Takes `memory.ids` in.
    pub fn record_predict(&self, memory: &Memory) -> Result<Recording> {
        let rec = &mut Recording::new("predict");
        let state = rec.bind(memory.state, DType::U32, [STATE_WORDS]);
        self.predict(rec, memory, state)?;
        Ok(std::mem::take(rec))
    }

    /// Looks at the frame that is due, and takes the token in if one came of it. Tap: `logits`.
    pub fn record_step(&self, memory: &Memory) -> Result<Recording> {
        let (c, rec) = (&self.config, &mut Recording::new("transducer step"));
        let state = rec.bind(memory.state, DType::U32, [STATE_WORDS]);
        let hidden = rec.temp([1, c.joint_hidden_size]);
        let op = SpeechOp::TdtHidden {
            enc: rec.bind(memory.enc, DType::F32, [memory.n_enc, c.joint_hidden_size]),
            g: rec.bind(memory.g, DType::F32, [1, c.joint_hidden_size]),
            state,
            y: hidden,
        };
        rec.ops.push(Op::Speech(op));
        let logits = linear(rec, hidden, &self.joint_head)?; // [1, V + 1 + n]
        rec.tap("logits", logits);
        let step = TdtStep {
            logits,
            durations: rec.bind(self.durations, DType::U32, [c.durations.len()]),
            max_symbols: c.max_symbols,
            state,
            ids: rec.bind(memory.ids, DType::U32, [1]),
            ring: rec.bind(memory.ring, DType::U32, [memory.ring_len, RING_WORDS]),
        };
        rec.ops.push(Op::Speech(SpeechOp::TdtStep(step)));
        self.predict(rec, memory, state)?;
        Ok(std::mem::take(rec))
    }

    /// One token through the prediction network, if the state says so; g is the same as before otherwise.
    fn predict(&self, rec: &mut Recording, memory: &Memory, state: Buffer) -> Result<()> {
        let (p, j) = (self.config.decoder_hidden_size, self.config.joint_hidden_size);
        let ids = rec.bind(memory.ids, DType::U32, [1]);
        let mut x = embed(rec, &self.embed, ids); // [1, P]
        for (layer, &(h, c)) in self.lstm.iter().zip(&memory.lstm) {
            let h = rec.bind(h, DType::F32, [1, p]);
            let c = rec.bind(c, DType::F32, [1, p]);
            let new = linear(rec, x, &layer.ih)?; // [1, 4P]
            let old = linear(rec, h, &layer.hh)?;
            let gates = add(rec, new, old)?;
            rec.ops.push(Op::Speech(SpeechOp::LstmCell { gates, state, h, c }));
            x = h;
        }
        let g = rec.bind(memory.g, DType::F32, [1, j]);
        linear_into(rec, x, &self.joint_pred, g)
    }
}
