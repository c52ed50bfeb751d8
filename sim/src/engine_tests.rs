//! `SimEngine` end to end on small recordings made by hand.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytemuck::Zeroable;
use gpu::engine::{NO_THOUGHT, State};
use gpu::recording::{GeluForm, KvLayer, RawDType, Sample};
use gpu::sampler::SamplingWords;
use gpu::tensor::{DType, Shape};
use gpu::weights::{Format, Weight, WeightPart, quant};

use super::*;
use crate::fast::linear::tests::{error, noise};

/// Reads of this engine are ready at once.
fn now(mut read: ReadFuture) -> Result<Vec<f32>> {
    match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(bytes) => {
            let bytes = bytes?;
            Ok(bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect())
        }
        Poll::Pending => unreachable!("the simulator plays at once"),
    }
}

fn both() -> [SimEngine; 2] {
    [SimEngine::new(Kernels::Plain), SimEngine::new(Kernels::Fast)]
}

impl SimEngine {
    fn tensor(&mut self, words: &[impl bytemuck::NoUninit]) -> Result<TensorId> {
        let bytes = bytemuck::cast_slice(words);
        let id = self.create("test", bytes.len() as u64)?;
        self.write(id, 0, bytes)?;
        Ok(id)
    }

    fn bound(
        &mut self,
        rec: &mut Recording,
        dtype: DType,
        shape: impl Into<Shape>,
        words: &[impl bytemuck::NoUninit],
    ) -> Result<Buffer> {
        let id = self.tensor(words)?;
        Ok(rec.bind(id, dtype, shape))
    }

    fn weight(&mut self, format: Format, values: &[f32], n: usize, k: usize, first: &[usize]) -> Result<Arc<Weight>> {
        let mut parts = Vec::new();
        for (i, &first_row) in first.iter().enumerate() {
            let n_rows = first.get(i + 1).unwrap_or(&n) - first_row;
            let rows = quant::pack(format, &values[first_row * k..(first_row + n_rows) * k], n_rows, k);
            let scales = format.has_scales().then(|| self.tensor(&rows.scales)).transpose()?;
            parts.push(WeightPart {
                first_row,
                n_rows,
                packed: self.tensor(&rows.packed)?,
                scales,
            });
        }
        Ok(Arc::new(Weight {
            name: "w".to_owned(),
            format,
            n,
            k,
            parts,
        }))
    }
}

fn id_of(rec: &Recording, buffer: Buffer) -> TensorId {
    match rec.info(buffer).place {
        Place::Bound(id) => id,
        place => unreachable!("{place:?} is not bound"),
    }
}

/// A little network with most operations, two cuts and a tap a step.
fn network(engine: &mut SimEngine, n_tokens: usize) -> Result<(Recording, Buffer)> {
    let (width, inner) = (24, 40);
    let mut rec = Recording::new("network");
    let ids: Vec<u32> = (0..n_tokens as u32).map(|i| i * 5 % 11).collect();
    let ids = engine.bound(&mut rec, DType::U32, [n_tokens], &ids)?;
    let table = engine.weight(Format::Q8, &noise(1, 10 * width), 10, width, &[0, 3, 7])?;
    let ones = engine.bound(&mut rec, DType::F32, [width], &noise(2, width))?;
    let bias = engine.bound(&mut rec, DType::F32, [width], &noise(3, width))?;
    let gate = engine.weight(Format::F16, &noise(4, inner * width), inner, width, &[0])?;
    let up = engine.weight(Format::F32, &noise(5, inner * width), inner, width, &[0, 1])?;
    let down = engine.weight(Format::Q4, &noise(6, width * inner), width, inner, &[0, 20])?;
    let rows = engine.bound(&mut rec, DType::F32, [n_tokens, width], &noise(7, n_tokens * width))?;
    let mask: Vec<u32> = (0..n_tokens as u32).map(|i| i % 2).collect();
    let mask = engine.bound(&mut rec, DType::U32, [n_tokens], &mask)?;
    let y = engine.bound(&mut rec, DType::F32, [n_tokens, width], &vec![0f32; n_tokens * width])?;

    let x = rec.temp([n_tokens, width]);
    rec.ops.push(Op::Embed { table, ids, y: x });
    rec.tap("embed", x);
    let h = rec.temp([n_tokens, width]);
    let eps = 1e-6;
    rec.ops.push(Op::LayerNorm {
        x,
        weight: ones,
        bias,
        eps,
        y: h,
    });
    let heads = rec.view(h, [n_tokens, 3, 8])?;
    let attended = rec.temp([n_tokens, 3, 8]);
    rec.ops.push(Op::Attention {
        q: heads,
        k: heads,
        v: heads,
        scale: 0.3,
        y: attended,
    });
    rec.tap("attended", attended);
    rec.cut();
    let [g, u, gated, d] = [inner, inner, inner, width].map(|width| rec.temp([n_tokens, width]));
    rec.ops.push(Op::Linear {
        x: h,
        weight: gate,
        bias: None,
        y: g,
    });
    rec.ops.push(Op::Linear {
        x: h,
        weight: up,
        bias: None,
        y: u,
    });
    rec.ops.push(Op::SwiGlu {
        gate: g,
        up: u,
        y: gated,
    });
    rec.cut();
    rec.ops.push(Op::Linear {
        x: gated,
        weight: down,
        bias: Some(bias),
        y: d,
    });
    let flat = rec.view(attended, [n_tokens, width])?;
    let [sum, normed, active, mixed] = [(); 4].map(|()| rec.temp([n_tokens, width]));
    rec.ops.push(Op::Add { a: d, b: flat, y: sum });
    rec.ops.push(Op::RmsNorm {
        x: sum,
        weight: ones,
        eps,
        y: normed,
    });
    rec.ops.push(Op::Gelu {
        x: normed,
        form: GeluForm::Erf,
        y: active,
    });
    rec.ops.push(Op::Overlay {
        x: active,
        rows,
        mask,
        y: mixed,
    });
    rec.ops.push(Op::MaskedAdd { x: mixed, rows, mask, y });
    Ok((rec, y))
}

#[test]
fn fast_engine_equals_plain_engine_and_taps_are_kept() -> Result<()> {
    for n_tokens in [0, 1, 2, 33] {
        let mut results = Vec::new();
        for mut engine in both() {
            let (mut rec, y) = network(&mut engine, n_tokens)?;
            rec.keep_taps = true;
            let (y, bytes) = (id_of(&rec, y), n_tokens as u64 * 96);
            let prepared = engine.prepare(rec)?;
            assert_eq!(engine.n_slices(prepared), 3);
            engine.play(prepared)?;
            let taps = [engine.read_tap(prepared, "embed"), engine.read_tap(prepared, "attended")];
            let [embed, attended] = taps.map(now);
            results.push([now(engine.read(y, 0, bytes))?, embed?, attended?]);
            assert!(now(engine.read_tap(prepared, "no such")).is_err());
        }
        for (plain, fast) in results[0].iter().zip(&results[1]) {
            assert!(plain.iter().all(|v| v.is_finite()));
            assert!(error(fast, plain) < 1e-6, "{n_tokens} tokens");
        }
        if n_tokens > 0 {
            assert!(results[0][0].iter().any(|&v| v != 0.0));
        }
    }
    Ok(())
}

#[test]
fn slices_of_two_recordings_may_be_played_in_turns() -> Result<()> {
    let mut engine = SimEngine::default();
    let (rec, y) = network(&mut engine, 4)?;
    let y = id_of(&rec, y);
    let (other, other_y) = network(&mut engine, 7)?;
    let other_y = id_of(&other, other_y);
    let [a, b] = [engine.prepare(rec)?, engine.prepare(other)?];
    engine.play(a)?;
    engine.play(b)?;
    let whole = [now(engine.read(y, 0, 384))?, now(engine.read(other_y, 0, 672))?];
    engine.write(y, 0, &[0; 384])?;
    engine.write(other_y, 0, &[0; 672])?;
    // The first one is given up after its first slice, and begun again.
    for (prepared, slice) in [(a, 0), (b, 0), (a, 0), (a, 1), (b, 1), (b, 2), (a, 2)] {
        engine.play_slice(prepared, slice)?;
    }
    let in_turns = [now(engine.read(y, 0, 384))?, now(engine.read(other_y, 0, 672))?];
    assert_eq!(whole, in_turns);
    assert!(engine.play_slice(a, 1).is_err(), "its temporaries are dead");
    assert!(engine.play_slice(a, 3).is_err());
    engine.discard(a);
    assert!(engine.play(a).is_err());
    Ok(())
}

#[test]
fn temporaries_are_freed_when_they_are_dead() -> Result<()> {
    let mut engine = SimEngine::default();
    let n = 1 << 20;
    let mut rec = Recording::new("chain");
    let x = engine.bound(&mut rec, DType::F32, [n], &vec![1f32; n])?;
    let y = engine.bound(&mut rec, DType::F32, [n], &vec![0f32; n])?;
    let mut last = x;
    for _ in 0..40 {
        let next = rec.temp([n]);
        rec.ops.push(Op::Add { a: last, b: x, y: next });
        last = next;
    }
    rec.ops.push(Op::Add { a: last, b: x, y });
    let y = id_of(&rec, y);
    let prepared = engine.prepare(rec)?;
    engine.play(prepared)?;
    assert_eq!(now(engine.read(y, 0, 8))?, [42.0, 42.0]);
    // x, y, and two temporaries: never 40.
    assert!(engine.memory_bytes() <= 5 * 4 * n as u64, "{}", engine.memory_bytes());
    Ok(())
}

/// Keys and values of tokens `0 .. n` fed in chunks of the given sizes, then what the last chunk attended to.
fn attend_in_chunks(engine: &mut SimEngine, chunks: &[usize], dtype: DType) -> Result<Vec<f32>> {
    let (heads, kv_heads, head, block) = (4, 2, 6, 4);
    let cache_bytes = dtype.size_bytes(8 * block * kv_heads * head);
    let caches = [engine.create("k", cache_bytes)?, engine.create("v", cache_bytes)?];
    let table = engine.tensor(&[6u32, 1, 7, 0, 3])?;
    let state = engine.create("state", size_of::<State>() as u64)?;
    let (mut kv_len, mut y) = (0, Vec::new());
    for &n_tokens in chunks {
        // One row more than there are tokens: what lies there must not matter.
        let rows = n_tokens + 1;
        let mut rec = Recording::new("chunk");
        let part = |seed, width: usize| {
            let mut values = noise(seed, 64 * width)[kv_len * width..][..rows * width].to_vec();
            values[n_tokens * width..].fill(77.0);
            values
        };
        let q = engine.bound(&mut rec, DType::F32, [rows, heads, head], &part(1, heads * head))?;
        let k = engine.bound(&mut rec, DType::F32, [rows, kv_heads, head], &part(2, kv_heads * head))?;
        let v = engine.bound(&mut rec, DType::F32, [rows, kv_heads, head], &part(3, kv_heads * head))?;
        let shape = [8, block, kv_heads, head];
        let cache = KvLayer {
            k: rec.bind(caches[0], dtype, shape),
            v: rec.bind(caches[1], dtype, shape),
            table: rec.bind(table, DType::U32, [5]),
            block,
            dtype,
        };
        let state_buffer = rec.bind(state, DType::U32, [12]);
        let out = rec.temp([rows, heads, head]);
        let last = engine.bound(&mut rec, DType::F32, [1, heads * head], &vec![0f32; heads * head])?;
        rec.ops.push(Op::KvAppend {
            k,
            v,
            cache,
            state: state_buffer,
        });
        rec.ops.push(Op::CachedAttention {
            q,
            cache,
            state: state_buffer,
            scale: 0.9,
            y: out,
        });
        let flat = rec.view(out, [rows, heads * head])?;
        rec.ops.push(Op::TakeLast {
            x: flat,
            state: state_buffer,
            y: last,
        });
        let words = State {
            kv_len: kv_len as u32,
            n_tokens: n_tokens as u32,
            ..State::zeroed()
        };
        engine.write(state, 0, bytemuck::bytes_of(&words))?;
        let last = id_of(&rec, last);
        let prepared = engine.prepare(rec)?;
        engine.play(prepared)?;
        y = now(engine.read(last, 0, 4 * (heads * head) as u64))?;
        kv_len += n_tokens;
    }
    Ok(y)
}

#[test]
fn prefill_equals_chunks_equals_decode_through_a_shuffled_block_table() -> Result<()> {
    for dtype in [DType::F32, DType::F16] {
        let mut plain = SimEngine::new(Kernels::Plain);
        let whole = attend_in_chunks(&mut plain, &[17], dtype)?;
        assert!(whole.iter().any(|&v| v != 0.0));
        for mut engine in both() {
            for chunks in [&[17][..], &[9, 8], &[1, 3, 13], &[16, 1], &[1; 17]] {
                let y = attend_in_chunks(&mut engine, chunks, dtype)?;
                assert!(error(&y, &whole) < 1e-6, "{chunks:?}");
            }
        }
        assert!(attend_in_chunks(&mut plain, &[20], dtype).is_ok());
        let beyond = attend_in_chunks(&mut plain, &[20, 1], dtype);
        assert!(beyond.is_err(), "the table has five blocks of four");
    }
    Ok(())
}

/// A decoding step of a model that says its last id plus one: logits are a row of a shifted unit matrix.
fn counter(engine: &mut SimEngine) -> Result<(Recording, [TensorId; 3])> {
    let n_ids = 9;
    let unit: Vec<f32> = (0..n_ids * n_ids)
        .map(|i| f32::from(u8::from((i / n_ids + 1) % n_ids == i % n_ids)))
        .collect();
    let table = engine.weight(Format::Q8, &unit, n_ids, n_ids, &[0])?;
    let mut rec = Recording::new("counter");
    let ids = engine.bound(&mut rec, DType::U32, [1], &[3u32])?;
    let words = State {
        kv_len: 4,
        n_tokens: 1,
        position: 4,
        max_steps: 100,
        think_left: NO_THOUGHT,
        ..State::zeroed()
    };
    let state = engine.bound(&mut rec, DType::U32, [12], &[words])?;
    let mut settings = SamplingWords {
        top_p: 1.0,
        repetition_penalty: 1.0,
        n_stop: 1,
        ..SamplingWords::zeroed()
    };
    settings.stop[0] = 7;
    let sample = Sample {
        logits: rec.temp([1, n_ids]),
        sampling: engine.bound(&mut rec, DType::U32, [16], &[settings])?,
        state,
        seen: engine.bound(&mut rec, DType::U32, [n_ids], &vec![0u32; n_ids])?,
        ids,
        pos: engine.bound(&mut rec, DType::U32, [3, 1], &[0u32; 3])?,
        ring: engine.bound(&mut rec, DType::U32, [8, 2], &[0u32; 16])?,
    };
    rec.ops.push(Op::Embed {
        table,
        ids,
        y: sample.logits,
    });
    rec.ops.push(Op::Sample(sample));
    let tensors = [sample.state, sample.ring, sample.pos].map(|buffer| id_of(&rec, buffer));
    Ok((rec, tensors))
}

#[test]
fn decoding_stops_by_itself_and_steps_behind_it_change_nothing() -> Result<()> {
    for mut engine in both() {
        let (rec, [state, ring, pos]) = counter(&mut engine)?;
        let prepared = engine.prepare(rec)?;
        (0..7).try_for_each(|_| engine.play(prepared))?;
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let ids: Vec<u32> = bits(now(engine.read(ring, 0, 64))?).into_iter().step_by(2).collect();
        assert_eq!(ids, [4, 5, 6, 7, 0, 0, 0, 0]);
        let words = bits(now(engine.read(state, 0, 48))?);
        let state: State = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words));
        assert_eq!((state.done, state.n_tokens, state.step, state.last_id), (1, 0, 4, 7));
        assert_eq!((state.kv_len, state.position), (8, 8));
        assert_eq!(bits(now(engine.read(pos, 0, 12))?), [7, 7, 7]);
    }
    Ok(())
}

#[test]
fn weights_that_are_written_again_are_read_again() -> Result<()> {
    let mut engine = SimEngine::default();
    let weight = engine.weight(Format::F32, &[1.0, 2.0], 2, 1, &[0])?;
    let packed = weight.parts[0].packed;
    let mut rec = Recording::new("linear");
    let x = engine.bound(&mut rec, DType::F32, [2, 1], &[1f32, 10.0])?;
    let y = engine.bound(&mut rec, DType::F32, [2, 2], &[0f32; 4])?;
    rec.ops.push(Op::Linear {
        x,
        weight,
        bias: None,
        y,
    });
    let y = id_of(&rec, y);
    let prepared = engine.prepare(rec)?;
    engine.play(prepared)?;
    assert_eq!(now(engine.read(y, 0, 16))?, [1.0, 2.0, 10.0, 20.0]);
    engine.write(packed, 128, bytemuck::bytes_of(&5f32))?;
    engine.play(prepared)?;
    assert_eq!(now(engine.read(y, 0, 16))?, [1.0, 5.0, 10.0, 50.0]);
    engine.copy(packed, 128, packed, 0, 4)?;
    engine.play(prepared)?;
    assert_eq!(now(engine.read(y, 0, 16))?, [5.0, 5.0, 50.0, 50.0]);
    let held = engine.memory_bytes();
    engine.release(packed);
    assert!(engine.memory_bytes() < held);
    assert!(engine.play(prepared).is_err());
    Ok(())
}

#[test]
fn quantize_packs_what_linear_reads() -> Result<()> {
    for mut engine in both() {
        let values = noise(4, 6 * 40);
        let raw: Vec<u16> = values.iter().map(|&v| half::bf16::from_f32(v).to_bits()).collect();
        let rounded: Vec<f32> = raw.iter().map(|&bits| half::bf16::from_bits(bits).to_f32()).collect();
        let mut rec = Recording::new("quantize");
        let src = engine.bound(&mut rec, DType::U32, [120], &raw)?;
        let packed = engine.bound(&mut rec, DType::U32, [6 * 8], &[0u32; 48])?;
        let scales = engine.bound(&mut rec, DType::U32, [6], &[0u32; 6])?;
        let op = Op::Quantize {
            src,
            src_dtype: RawDType::Bf16,
            n_rows: 6,
            k: 40,
            format: Format::Q4,
            packed,
            scales: Some(scales),
        };
        rec.ops.push(op);
        let ids = [packed, scales].map(|buffer| id_of(&rec, buffer));
        let prepared = engine.prepare(rec)?;
        engine.play(prepared)?;
        let expected = quant::pack(Format::Q4, &rounded, 6, 40);
        assert_eq!(engine.tensors.get(ids[0])?.words, expected.packed);
        assert_eq!(engine.tensors.get(ids[1])?.words, expected.scales);
    }
    Ok(())
}

#[test]
fn describe_names_operations_weights_and_cuts() -> Result<()> {
    let mut engine = SimEngine::default();
    let (rec, _) = network(&mut engine, 2)?;
    let prepared = engine.prepare(rec)?;
    let text = engine.describe(prepared);
    assert!(text.starts_with("network: 12 operations\n"), "{text}");
    assert!(text.contains("linear [2, 24] w f16 [40, 24] -> [2, 40]"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with('|')).count(), 2);
    Ok(())
}
