//! What a decode step is lowered to, by the names of its dispatches.

use std::sync::Arc;

use super::*;
use crate::model::ops::{Linear, Norm, RopeTable, add, cached_attention, linear, norm, rope, swiglu};
use crate::recording::{KvLayer, Recording};
use crate::tensor::{DType, TensorId};
use crate::weights::{Format, Weight, WeightPart};

const D: usize = 128;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const E: usize = 128;
const F: usize = 256;

/// Tensors by number.
struct Ids(u64);

impl Ids {
    fn next(&mut self) -> TensorId {
        self.0 += 1;
        TensorId(self.0)
    }

    fn linear(&mut self, format: Format, n: usize, k: usize) -> Linear {
        let part = WeightPart {
            first_row: 0,
            n_rows: n,
            packed: self.next(),
            scales: format.has_scales().then(|| self.next()),
        };
        let weight = Weight {
            name: "w".into(),
            format,
            n,
            k,
            parts: vec![part],
        };
        Linear {
            weight: Arc::new(weight),
            bias: None,
        }
    }

    fn norm(&mut self) -> Norm {
        Norm {
            weight: self.next(),
            bias: None,
            eps: 1e-6,
        }
    }
}

/// Two layers of one token and the output layer, as the language model records them.
fn step(format: Format, head: Format) -> Result<Recording> {
    let rec = &mut Recording::new("decode");
    let mut ids = Ids(0);
    let state = rec.bind(ids.next(), DType::U32, [12]);
    let pos = rec.bind(ids.next(), DType::U32, [3, 1]);
    let turns = RopeTable {
        table: ids.next(),
        map: ids.next(),
        n_positions: 64,
        n_frequencies: E / 2,
        head_dim: E,
    };
    let table = rec.bind(ids.next(), DType::U32, [8]);
    let mut x = rec.bind(ids.next(), DType::F32, [1, D]);
    for i in 0..2 {
        rec.tap(format!("layer{i}.in"), x);
        let shape = [8, 16, KV_HEADS, E];
        let cache = KvLayer {
            k: rec.bind(ids.next(), DType::F16, shape),
            v: rec.bind(ids.next(), DType::F16, shape),
            table,
            block: 16,
            dtype: DType::F16,
        };
        let h = norm(rec, x, &ids.norm())?;
        let [q, k, v] = [HEADS, KV_HEADS, KV_HEADS].map(|heads| (heads, ids.linear(format, heads * E, D)));
        let q_raw = linear(rec, h, &q.1)?;
        let k_raw = linear(rec, h, &k.1)?;
        let v_raw = linear(rec, h, &v.1)?;
        let q = rec.view(q_raw, [1, HEADS, E])?;
        let k = rec.view(k_raw, [1, KV_HEADS, E])?;
        let v = rec.view(v_raw, [1, KV_HEADS, E])?;
        let q = norm(rec, q, &ids.norm())?;
        let k = norm(rec, k, &ids.norm())?;
        let q = rope(rec, q, &turns, pos)?;
        let k = rope(rec, k, &turns, pos)?;
        let h = cached_attention(rec, q, k, v, cache, state, 0.2)?;
        let h = linear(rec, h, &ids.linear(format, D, HEADS * E))?;
        x = add(rec, x, h)?;
        let h = norm(rec, x, &ids.norm())?;
        let gate = linear(rec, h, &ids.linear(format, F, D))?;
        let up = linear(rec, h, &ids.linear(format, F, D))?;
        let h = swiglu(rec, gate, up)?;
        let h = linear(rec, h, &ids.linear(format, D, F))?;
        x = add(rec, x, h)?;
    }
    let h = norm(rec, x, &ids.norm())?;
    let logits = linear(rec, h, &ids.linear(head, 1000, D))?;
    rec.tap("logits", logits);
    Ok(std::mem::take(rec))
}

fn kernels(recording: &Recording, adapter: &Adapter, variants: &Variants) -> Result<Vec<&'static str>> {
    let plan = lower_with(recording, adapter, variants)?;
    Ok(plan.dispatches.iter().map(|dispatch| dispatch.kernel).collect())
}

#[test]
fn a_layer_of_a_decode_step_is_six_dispatches() -> Result<()> {
    let adapter = Adapter::plain("test");
    let layer = [
        "dot_qkv",
        "attn_split",
        "attn_combine",
        "dot_matvec",
        "dot_swiglu",
        "dot_matvec",
    ];
    let first = ["dot_quantize", "dot_qkv", "attn_step"]
        .into_iter()
        .chain(layer.into_iter().skip(1));
    let expected: Vec<_> = first.chain(layer).chain(["dot_matvec"]).collect();
    for (format, head) in [(Format::Q4, Format::Q8), (Format::Q8, Format::Q8)] {
        let mut recording = step(format, head)?;
        assert_eq!(kernels(&recording, &adapter, &Variants::of(&adapter))?, expected);
        // Taps of the residual stream are stored anyway.
        recording.keep_taps = true;
        assert_eq!(kernels(&recording, &adapter, &Variants::of(&adapter))?, expected);
    }
    Ok(())
}

#[test]
fn dense_weights_and_plain_variants_take_the_kernels_of_f32() -> Result<()> {
    let adapter = Adapter::plain("test");
    let plain = kernels(&step(Format::Q4, Format::Q8)?, &adapter, &Variants::plain(&adapter))?;
    assert!(
        plain
            .iter()
            .all(|name| !name.starts_with("dot_") && !name.starts_with("attn_s")),
        "{plain:?}"
    );
    let dense = kernels(&step(Format::F16, Format::F16)?, &adapter, &Variants::of(&adapter))?;
    assert!(dense.iter().all(|name| !name.starts_with("dot_")), "{dense:?}");
    // Attention is split all the same, behind kernels that norm, rotate and append.
    assert_eq!(dense.iter().filter(|&&name| name == "attn_split").count(), 2);
    assert_eq!(dense.iter().filter(|&&name| name == "kv_append").count(), 2);
    Ok(())
}

#[test]
fn what_is_read_in_f32_too_is_stored() -> Result<()> {
    let adapter = Adapter::plain("test");
    let mut recording = step(Format::Q4, Format::Q8)?;
    // Whoever reads a norm's result keeps that norm as an operation of its own.
    let normed = recording.ops.iter().find_map(|op| match op {
        crate::recording::Op::RmsNorm { y, .. } => Some(*y),
        _ => None,
    });
    recording.tap("normed", normed.expect("a layer begins with a norm"));
    recording.keep_taps = true;
    let names = kernels(&recording, &adapter, &Variants::of(&adapter))?;
    assert_eq!(names[..3], ["rms_norm", "dot_quantize", "dot_qkv"]);
    Ok(())
}
