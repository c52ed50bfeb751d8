//! Every kernel against its twin: `WgpuEngine` plays the same recording as the simulator's plain twins, over random and
//! awkward shapes. Seeds are fixed.

use gpu::engine::wgpu::WgpuEngine;
use gpu::engine::{Engine, NO_THOUGHT, State};
use gpu::recording::{GeluForm, KvLayer, Op, RawDType, Sample};
use gpu::sampler::SamplingWords;
use gpu::tensor::DType;
use gpu::weights::{Format, quant};
use half::{bf16, f16};
use sim::{Kernels, SimEngine};
use tests::close;
use tests::twin::{Build, Numbers, compare, gpu_engines};

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

/// Holds each case to the twin, and reports all that fail.
fn hold<C: std::fmt::Debug>(tolerance: f32, cases: impl IntoIterator<Item = C>, build: impl Fn(&C, &mut Build<'_>)) {
    hold_on(gpu_engines(true), tolerance, cases, build);
}

/// The same on these engines.
fn hold_on<C: std::fmt::Debug>(
    engines: Vec<WgpuEngine>,
    tolerance: f32,
    cases: impl IntoIterator<Item = C>,
    build: impl Fn(&C, &mut Build<'_>),
) {
    let mut twin = SimEngine::new(Kernels::Plain);
    let cases: Vec<C> = cases.into_iter().collect();
    let mut faults = Vec::new();
    for mut engine in engines {
        let software = engine.adapter().software;
        for case in &cases {
            if let Err(fault) = compare(&mut engine, &mut twin, tolerance, |b| build(case, b)) {
                faults.push(format!("{case:?}, software {software}: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} cases differ:\n{}", faults.len(), faults.join("\n"));
}

#[derive(Clone, Debug)]
struct LinearCase {
    t: usize,
    n: usize,
    k: usize,
    format: Format,
    parts: usize,
    bias: bool,
    tail: Option<Tail>,
}

#[derive(Clone, Copy, Debug)]
enum Tail {
    Add,
    Gelu(GeluForm),
}

fn build_linear(case: &LinearCase, b: &mut Build<'_>) {
    let LinearCase { t, n, k, .. } = *case;
    let mut numbers = Numbers::new((t * 31 + n * 7 + k) as u64);
    let x = b.floats(&numbers.values(t * k), [t, k]);
    let weight = b.weight(case.format, &numbers.values(n * k), n, k, case.parts);
    let bias = case.bias.then(|| b.floats(&numbers.values(n), [n]));
    let y = b.rec.temp([t, n]);
    b.rec.ops.push(Op::Linear { x, weight, bias, y });
    let out = match case.tail {
        None => y,
        Some(Tail::Add) => {
            let residual = b.floats(&numbers.values(t * n), [t, n]);
            let sum = b.rec.temp([t, n]);
            b.rec.ops.push(Op::Add {
                a: residual,
                b: y,
                y: sum,
            });
            sum
        }
        Some(Tail::Gelu(form)) => {
            let bent = b.rec.temp([t, n]);
            b.rec.ops.push(Op::Gelu { x: y, form, y: bent });
            bent
        }
    };
    b.out("y", out);
}

#[test]
fn linear_matches_its_twin_on_awkward_shapes() {
    let mut cases = Vec::new();
    let shapes = [
        (1, 1, 1),
        (1, 7, 4304),
        (4, 33, 72),
        (5, 65, 100),
        (17, 3, 33),
        (64, 64, 64),
        (70, 130, 4304),
        (3, 0, 8),
    ];
    for (i, (t, n, k)) in shapes
        .into_iter()
        .chain([(0, 5, 8), (9, 129, 127), (33, 48, 2), (6, 70, 32)])
        .enumerate()
    {
        for (j, format) in FORMATS.into_iter().enumerate() {
            cases.push(LinearCase {
                t,
                n,
                k,
                format,
                parts: 1 + (i + j) % 3,
                bias: (i + j) % 2 == 0,
                tail: [
                    None,
                    Some(Tail::Add),
                    Some(Tail::Gelu(GeluForm::Tanh)),
                    Some(Tail::Gelu(GeluForm::Erf)),
                ][(i + 3 * j) % 4],
            });
        }
    }
    hold(close::LINEAR, cases, build_linear);
}

#[test]
fn linear_matches_its_twin_on_random_shapes() {
    let mut numbers = Numbers::new(1);
    let cases = (0..40).map(|i| LinearCase {
        t: 1 + numbers.below(90),
        n: 1 + numbers.below(150),
        k: 1 + numbers.below(300),
        format: FORMATS[i % 4],
        parts: 1 + numbers.below(4),
        bias: numbers.below(2) == 1,
        tail: [None, Some(Tail::Add), Some(Tail::Gelu(GeluForm::Tanh))][numbers.below(3)],
    });
    hold(close::LINEAR, cases, build_linear);
}

/// 151,936 rows fold the grid into y.
#[test]
fn linear_matches_its_twin_over_a_whole_vocabulary() {
    let cases = [
        (1, Format::F32, 1),
        (1, Format::Q8, 3),
        (2, Format::Q4, 2),
        (6, Format::F16, 1),
    ]
    .map(|(t, format, parts)| LinearCase {
        t,
        n: 151_936,
        k: 12,
        format,
        parts,
        bias: false,
        tail: None,
    });
    hold(close::LINEAR, cases, build_linear);
}

#[test]
fn add_swiglu_and_gelu_match_their_twins() {
    hold(close::POINTWISE, [0, 1, 3, 64, 1001, 300_000], |&n, b| {
        let mut numbers = Numbers::new(n as u64);
        // Large magnitudes too: nothing may overflow on the way.
        let values: Vec<f32> = (0..n).map(|i| numbers.value() * [1.0, 8.0, 200.0][i % 3]).collect();
        let x = b.floats(&values, [n]);
        let z = b.floats(&numbers.values(n), [n]);
        let outs = ["add", "swiglu", "tanh", "erf"].map(|name| (name, b.rec.temp([n])));
        let [sum, gated, tanh, erf] = outs.map(|(_, buffer)| buffer);
        b.rec.ops.push(Op::Add { a: x, b: z, y: sum });
        b.rec.ops.push(Op::SwiGlu {
            gate: x,
            up: z,
            y: gated,
        });
        b.rec.ops.push(Op::Gelu {
            x,
            form: GeluForm::Tanh,
            y: tanh,
        });
        b.rec.ops.push(Op::Gelu {
            x,
            form: GeluForm::Erf,
            y: erf,
        });
        for (name, buffer) in outs {
            b.out(name, buffer);
        }
    });
}

/// Element by element: the tails of GELU, where a relative RMS over a buffer would not look.
#[test]
fn gelu_is_exact_to_its_last_places_everywhere() {
    let points: Vec<f32> = (-120..=120).map(|i| i as f32 / 10.0).collect();
    hold(3e-6, points, |&x, b| {
        let input = b.floats(&[x], [1]);
        for (name, form) in [("tanh", GeluForm::Tanh), ("erf", GeluForm::Erf)] {
            let y = b.rec.temp([1]);
            b.rec.ops.push(Op::Gelu { x: input, form, y });
            // Beyond 5 below zero the value is under 2e-7 and only its smallness counts.
            if x > -5.0 {
                b.out(name, y);
            }
        }
    });
}

#[test]
fn norms_match_their_twins() {
    let shapes = [(1, 1), (3, 5), (0, 8), (7, 128), (2, 1152), (9, 4304), (70_000, 2), (5, 4608)];
    hold(close::NORM, shapes, |&(t, d), b| {
        let mut numbers = Numbers::new((t + d) as u64);
        // An offset, so that a variance by E[x²] − E[x]² would fail.
        let values: Vec<f32> = (0..t * d).map(|_| numbers.value() + 3.0).collect();
        let x = b.floats(&values, [t, d]);
        let weight = b.floats(&numbers.values(d), [d]);
        let bias = b.floats(&numbers.values(d), [d]);
        let rms = b.rec.temp([t, d]);
        b.rec.ops.push(Op::RmsNorm {
            x,
            weight,
            eps: 1e-6,
            y: rms,
        });
        b.out("rms_norm", rms);
        // The variance of one value is 0, and the result is the rounding of its mean: nothing to compare.
        if d > 2 {
            let layer = b.rec.temp([t, d]);
            b.rec.ops.push(Op::LayerNorm {
                x,
                weight,
                bias,
                eps: 1e-6,
                y: layer,
            });
            b.out("layer_norm", layer);
        }
    });
}

#[test]
fn rope_matches_its_twin() {
    let shapes = [(1, 1, 2, 1), (5, 4, 32, 3), (33, 2, 72, 2), (7, 3, 128, 3), (0, 2, 64, 3)];
    hold(close::ROTATE, shapes, |&(t, h, e, axes), b| {
        let mut numbers = Numbers::new((t + h + e) as u64);
        let (positions, frequencies) = (50, e / 2);
        let x = b.floats(&numbers.values(t * h * e), [t, h, e]);
        let turns: Vec<f32> = (0..positions * frequencies)
            .flat_map(|_| {
                let (s, c) = (numbers.value() * 3.0).sin_cos();
                [c, s]
            })
            .collect();
        let table = b.floats(&turns, [positions, frequencies, 2]);
        let map: Vec<u32> = (0..e / 2)
            .map(|j| ((j % axes) as u32) << 16 | numbers.below(frequencies) as u32)
            .collect();
        let map = b.words(&map, [e / 2]);
        let pos: Vec<u32> = (0..axes * t).map(|_| numbers.below(positions) as u32).collect();
        let pos = b.words(&pos, [axes, t]);
        let y = b.rec.temp([t, h, e]);
        b.rec.ops.push(Op::Rope { x, table, map, pos, y });
        b.out("y", y);
    });
}

#[test]
fn attention_matches_its_twin() {
    let shapes = [
        (1, 1, 1, 1, 4),
        (1, 33, 4, 2, 32),
        (5, 9, 2, 1, 64),
        (33, 33, 3, 3, 72),
        (40, 100, 4, 4, 128),
        (70, 17, 2, 2, 16),
        (3, 0, 2, 1, 32),
        (0, 4, 2, 1, 32),
        (97, 130, 2, 2, 72),
        (257, 257, 1, 1, 64),
    ];
    hold(close::ATTENTION, shapes, |&(t, s, h, kv, e), b| {
        let mut numbers = Numbers::new((t + s * 3 + e) as u64);
        let spread: Vec<f32> = numbers.values(t * h * e).iter().map(|v| v * 4.0).collect();
        let q = b.floats(&spread, [t, h, e]);
        let k = b.floats(&numbers.values(s * kv * e), [s, kv, e]);
        let v = b.floats(&numbers.values(s * kv * e), [s, kv, e]);
        let y = b.rec.temp([t, h, e]);
        b.rec.ops.push(Op::Attention {
            q,
            k,
            v,
            scale: (e as f32).sqrt().recip(),
            y,
        });
        b.out("y", y);
    });
}

/// Mesa's llvmpipe ends an invocation's loops after 65,535 rounds in all, without a word: long rows have to stay below.
/// Without checks in the shaders, as the program has them: checked loops are not unrolled and count more rounds.
#[test]
fn long_contexts_and_long_rows_are_walked_to_their_end() {
    hold_on(
        gpu_engines(false),
        close::ATTENTION,
        [(6, 9000, 128), (6, 9000, 64), (1, 20_000, 128)],
        |&(t, s, e), b| {
            let mut numbers = Numbers::new((t + s + e) as u64);
            let q = b.floats(&numbers.values(t * e), [t, 1, e]);
            let k = b.floats(&numbers.values(s * e), [s, 1, e]);
            let v = b.floats(&numbers.values(s * e), [s, 1, e]);
            let y = b.rec.temp([t, 1, e]);
            b.rec.ops.push(Op::Attention { q, k, v, scale: 0.1, y });
            b.out("y", y);
        },
    );
    hold_on(gpu_engines(false), close::LINEAR, [(6, 12_288), (1, 12_288)], |&(t, k), b| {
        let mut numbers = Numbers::new((t + k) as u64);
        let x = b.floats(&numbers.values(t * k), [t, k]);
        let weight = b.weight(Format::Q8, &numbers.values(9 * k), 9, k, 1);
        let y = b.rec.temp([t, 9]);
        b.rec.ops.push(Op::Linear {
            x,
            weight,
            bias: None,
            y,
        });
        b.out("y", y);
    });
}

#[derive(Clone, Copy, Debug)]
struct CacheCase {
    t: usize,
    n_tokens: usize,
    kv_len: usize,
    block: usize,
    h: usize,
    kv: usize,
    e: usize,
    dtype: DType,
}

fn state(kv_len: usize, n_tokens: usize) -> State {
    State {
        kv_len: kv_len as u32,
        n_tokens: n_tokens as u32,
        position: 11,
        done: 0,
        step: 2,
        max_steps: 100,
        seed: [7, 9],
        last_id: 0,
        think_left: NO_THOUGHT,
        think_end: 1,
        pad: 0,
    }
}

/// Appends a chunk to a cache with shuffled blocks that holds random tokens, then attends over it.
#[test]
fn cached_attention_and_kv_append_match_their_twins() {
    let mut cases = Vec::new();
    for dtype in [DType::F32, DType::F16] {
        for (t, n_tokens, kv_len, block, h, kv, e) in [
            (1, 1, 0, 16, 2, 1, 32),
            (1, 1, 37, 16, 4, 2, 128),
            (1, 1, 200, 16, 4, 4, 72),
            (1, 0, 5, 4, 2, 2, 64),
            (5, 3, 0, 3, 4, 2, 64),
            (33, 33, 30, 16, 2, 1, 32),
            (40, 17, 65, 8, 2, 2, 128),
            (64, 64, 0, 16, 4, 1, 72),
            (0, 0, 3, 16, 2, 1, 32),
        ] {
            cases.push(CacheCase {
                t,
                n_tokens,
                kv_len,
                block,
                h,
                kv,
                e,
                dtype,
            });
        }
    }
    hold(close::ATTENTION, cases, |case, b| {
        let CacheCase {
            t,
            n_tokens,
            kv_len,
            block,
            h,
            kv,
            e,
            dtype,
        } = *case;
        let mut numbers = Numbers::new((t + kv_len + e) as u64);
        let used = (kv_len + t).div_ceil(block).max(1);
        let n_blocks = used + 3;
        let values = numbers.values(n_blocks * block * kv * e);
        let bytes = match dtype {
            DType::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            _ => bytemuck::cast_slice(&values).to_vec(),
        };
        let shape = [n_blocks, block, kv, e];
        // Every third block, so that neighbours in the sequence are none in memory.
        let stride = (1..).find(|s| [3, 5, 7].contains(s) && n_blocks % s != 0).unwrap_or(1);
        let table: Vec<u32> = (0..used + 1).map(|i| (i * stride % n_blocks) as u32).collect();
        let cache = KvLayer {
            k: b.changed("k_cache", &bytes, dtype, shape),
            v: b.changed("v_cache", &bytes, dtype, shape),
            table: b.words(&table, [used + 1]),
            block,
            dtype,
        };
        let q = b.floats(&numbers.values(t * h * e), [t, h, e]);
        let k = b.floats(&numbers.values(t * kv * e), [t, kv, e]);
        let v = b.floats(&numbers.values(t * kv * e), [t, kv, e]);
        let words = state(kv_len, n_tokens);
        let state = b.raw(bytemuck::bytes_of(&words), DType::U32, [12]);
        b.rec.ops.push(Op::KvAppend { k, v, cache, state });
        let y = b.rec.temp([t, h, e]);
        b.rec.ops.push(Op::CachedAttention {
            q,
            cache,
            state,
            scale: 0.2,
            y,
        });
        // Rows that were not fed are unspecified: only the last that was is looked at, and one more operation takes it.
        let last = b.rec.temp([1, h * e]);
        let flat = b.rec.view(y, [t, h * e]).expect("as many elements");
        b.rec.ops.push(Op::TakeLast { x: flat, state, y: last });
        if n_tokens == t {
            b.out("y", y);
        }
        if n_tokens > 0 {
            b.out("last", last);
        }
    });
}

#[test]
fn embed_matches_its_twin() {
    let mut cases = Vec::new();
    for format in FORMATS {
        cases.extend([
            (1, 5, 3, 1, format),
            (9, 100, 33, 3, format),
            (0, 4, 8, 1, format),
            (70, 1000, 64, 4, format),
        ]);
    }
    cases.push((4, 151_936, 8, 5, Format::Q8));
    hold(close::EXACT, cases, |&(t, n, d, parts, format), b| {
        let mut numbers = Numbers::new((t + n + d) as u64);
        let table = b.weight(format, &numbers.values(n * d), n, d, parts);
        // The last is no row of the table.
        let ids: Vec<u32> = (0..t)
            .map(|i| if i + 1 == t { n as u32 + 3 } else { numbers.below(n) as u32 })
            .collect();
        let ids = b.words(&ids, [t]);
        let y = b.rec.temp([t, d]);
        b.rec.ops.push(Op::Embed { table, ids, y });
        b.out("y", y);
    });
}

#[test]
fn overlay_masked_add_and_gather_mix_match_their_twins() {
    hold(close::MIX, [(1, 1), (5, 33), (0, 4), (64, 256), (300, 7)], |&(t, d), b| {
        let mut numbers = Numbers::new((t + d) as u64);
        let x = b.floats(&numbers.values(t * d), [t, d]);
        let rows = b.floats(&numbers.values(t * d), [t, d]);
        let mask: Vec<u32> = (0..t).map(|_| numbers.below(3) as u32).collect();
        let mask = b.words(&mask, [t]);
        let index: Vec<u32> = (0..t * 4).map(|_| numbers.below(20) as u32).collect();
        let index = b.words(&index, [t, 4]);
        let mix = b.floats(&numbers.values(t * 4), [t, 4]);
        let table = b.floats(&numbers.values(20 * d), [20, d]);
        let [over, added, mixed] = [(); 3].map(|()| b.rec.temp([t, d]));
        b.rec.ops.push(Op::Overlay { x, rows, mask, y: over });
        b.rec.ops.push(Op::MaskedAdd { x, rows, mask, y: added });
        b.rec.ops.push(Op::GatherMix {
            table,
            index,
            mix,
            y: mixed,
        });
        for (name, buffer) in [("overlay", over), ("masked_add", added), ("gather_mix", mixed)] {
            b.out(name, buffer);
        }
    });
}

#[test]
fn patchify_matches_its_twin() {
    let cases = [(1, 4, 4, 2), (2, 8, 12, 2), (1, 32, 64, 16), (2, 64, 32, 16), (1, 0, 4, 2)];
    hold(close::ROTATE, cases, |&(n_frames, height, width, patch), b| {
        let mut numbers = Numbers::new((height + width) as u64);
        let pixels: Vec<u8> = (0..n_frames * height * width * 3).map(|_| numbers.word() as u8).collect();
        let frames = b.raw(&pixels, DType::U8, [n_frames, height, width, 3]);
        let y = b.rec.temp([height / patch * (width / patch), 6 * patch * patch]);
        b.rec.ops.push(Op::Patchify {
            frames,
            n_frames,
            height,
            width,
            patch,
            y,
        });
        b.out("y", y);
    });
}

/// The packed words and scales are the same to the bit, and the same as the formula's own.
#[test]
fn quantize_is_equal_to_the_bit() {
    let mut cases = Vec::new();
    for src_dtype in [RawDType::F32, RawDType::F16, RawDType::Bf16] {
        for format in FORMATS {
            cases.extend([(1, 1), (3, 33), (2, 4304), (5, 31), (64, 256), (1, 96)].map(|(n, k)| (src_dtype, format, n, k)));
        }
    }
    hold(close::EXACT, cases, |&(src_dtype, format, n_rows, k), b| {
        let mut numbers = Numbers::new((n_rows * k) as u64);
        // Every magnitude from subnormal f16 to large, ties, zeros and whole groups of zeros.
        let values: Vec<f32> = (0..n_rows * k)
            .map(|i| match i / 32 % 7 {
                0 => numbers.value(),
                1 => numbers.value() * 1e-6,
                2 => (numbers.below(255) as f32 - 127.0) * 0.5,
                3 => 0.0,
                4 => numbers.value() * 60_000.0,
                5 => numbers.value() * f32::powi(2.0, -(numbers.below(30) as i32)),
                _ => (numbers.below(17) as f32 - 8.0) * 0.25,
            })
            .collect();
        let bytes: Vec<u8> = match src_dtype {
            RawDType::F32 => bytemuck::cast_slice(&values).to_vec(),
            RawDType::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            RawDType::Bf16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        };
        let n_words = bytes.len().div_ceil(4);
        let src = b.raw(&bytes, DType::U32, [n_words]);
        let room = |bytes: u64| vec![0xa5_u8; bytes as usize];
        let packed_bytes = format.packed_bytes(n_rows, k);
        let scale_bytes = format.scale_bytes(n_rows, k);
        let packed = b.changed("packed", &room(packed_bytes), DType::U32, [packed_bytes as usize / 4]);
        let scales = format
            .has_scales()
            .then(|| b.changed("scales", &room(scale_bytes), DType::U32, [scale_bytes as usize / 4]));
        b.rec.ops.push(Op::Quantize {
            src,
            src_dtype,
            n_rows,
            k,
            format,
            packed,
            scales,
        });
    });
}

#[derive(Clone, Debug)]
struct SampleCase {
    v: usize,
    words: SamplingWords,
    state: State,
}

fn sampling(temperature: f32, top_k: u32, top_p: f32, min_p: f32) -> SamplingWords {
    SamplingWords {
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        n_stop: 0,
        pad: 0,
        stop: [0; 8],
    }
}

#[test]
fn sample_matches_its_twin() {
    let mut cases = Vec::new();
    let settings = [
        sampling(0.0, 0, 1.0, 0.0),
        sampling(1.0, 0, 1.0, 0.0),
        sampling(0.7, 20, 0.8, 0.0),
        sampling(1.3, 0, 0.9, 0.05),
        sampling(0.6, 1, 0.0, 0.0),
        sampling(2.0, 5, 1.0, 0.3),
    ];
    for (i, v) in [1, 3, 255, 1000, 8191, 151_936].into_iter().enumerate() {
        for (j, words) in settings.into_iter().enumerate() {
            let mut state = state(30, [1, 1, 1, 7, 1, 0][(i + j) % 6]);
            state.seed = [i as u32, j as u32 + 77];
            state.step = (i * 7 + j) as u32;
            let mut words = words;
            if (i + j) % 2 == 1 {
                words.repetition_penalty = 1.3;
                words.presence_penalty = 0.5;
            }
            if (i + j) % 4 == 3 {
                (state.think_left, state.think_end) = (j as u32 / 3, 0);
            }
            words.n_stop = 2;
            words.stop[1] = 1;
            state.max_steps = if j == 4 { state.step + 1 } else { 1000 };
            cases.push(SampleCase { v, words, state });
        }
    }
    let mut twin = SimEngine::new(Kernels::Plain);
    let mut faults = Vec::new();
    for mut engine in gpu_engines(true) {
        faults.extend(cases.iter().filter_map(|case| sample_fault(&mut engine, &mut twin, case)));
    }
    assert!(faults.is_empty(), "{} cases differ:\n{}", faults.len(), faults.join("\n"));
}

/// What differs, if anything: words at all, the log-probability by more than its tolerance.
fn sample_fault(engine: &mut dyn Engine, twin: &mut dyn Engine, case: &SampleCase) -> Option<String> {
    let build = |b: &mut Build<'_>| build_sample(case, b);
    match (tests::twin::outputs(engine, build), tests::twin::outputs(twin, build)) {
        (Ok(mut found), Ok(mut expected)) => {
            // The ring holds a float's bits: taken out before the words are compared.
            let (a, b) = (take_logprob(&mut found, case), take_logprob(&mut expected, case));
            let close = (a - b).abs() <= close::LOG_PROBABILITY * (1.0 + b.abs());
            let (found_state, expected_state) = (found.get("state"), expected.get("state"));
            (found != expected || !close)
                .then(|| format!("{case:?}: log-probability {a} for {b}, state {found_state:?} for {expected_state:?}"))
        }
        (found, expected) => Some(format!("{case:?}: {:?}, {:?}", found.err(), expected.err())),
    }
}

const RING: usize = 5;

fn take_logprob(outputs: &mut std::collections::BTreeMap<String, tests::twin::Output>, case: &SampleCase) -> f32 {
    let at = case.state.step as usize % RING * 2 + 1;
    match outputs.get_mut("ring") {
        Some(tests::twin::Output::Words(words)) => f32::from_bits(std::mem::take(&mut words[at])),
        _ => f32::NAN,
    }
}

fn build_sample(case: &SampleCase, b: &mut Build<'_>) {
    let v = case.v;
    let mut numbers = Numbers::new(v as u64 + u64::from(case.state.step));
    let logits: Vec<f32> = (0..v).map(|_| numbers.value() * 9.0).collect();
    let seen: Vec<u32> = (0..v).map(|_| u32::from(numbers.below(4) == 0)).collect();
    let logits = b.floats(&logits, [1, v]);
    let sampling = b.raw(bytemuck::bytes_of(&case.words), DType::U32, [16]);
    let state = b.changed("state", bytemuck::bytes_of(&case.state), DType::U32, [12]);
    let seen = b.changed("seen", bytemuck::cast_slice(&seen), DType::U32, [v]);
    let ids = b.changed("ids", &[0; 4], DType::U32, [1]);
    let pos = b.changed("pos", &[0; 12], DType::U32, [3, 1]);
    let ring = b.changed("ring", &[0; RING * 8], DType::U32, [RING, 2]);
    b.rec.ops.push(Op::Sample(Sample {
        logits,
        sampling,
        state,
        seen,
        ids,
        pos,
        ring,
    }));
}

/// A tie goes to the lowest id, wherever the lanes that see it are.
#[test]
fn greedy_sampling_takes_the_lowest_of_equals() {
    hold(
        close::EXACT,
        [(600, 599, 3), (600, 64, 65), (2000, 1999, 1024)],
        |&(v, one, other), b| {
            let mut logits = vec![0.5; v];
            logits[one] = 2.0;
            logits[other] = 2.0;
            let logits = b.floats(&logits, [1, v]);
            let sampling = b.raw(bytemuck::bytes_of(&sampling(0.0, 0, 1.0, 0.0)), DType::U32, [16]);
            let state = b.changed("state", bytemuck::bytes_of(&state(1, 1)), DType::U32, [12]);
            let seen = b.changed("seen", &vec![0; v * 4], DType::U32, [v]);
            let ids = b.changed("ids", &[0; 4], DType::U32, [1]);
            let pos = b.changed("pos", &[0; 12], DType::U32, [3, 1]);
            let ring = b.words(&[0; 2], [1, 2]);
            b.rec.ops.push(Op::Sample(Sample {
                logits,
                sampling,
                state,
                seen,
                ids,
                pos,
                ring,
            }));
        },
    );
}

/// The quantiser's formula, the kernel and the way back agree within the format's stated bound.
#[test]
fn quantised_weights_stay_within_their_bound() {
    let mut numbers = Numbers::new(5);
    let (n, k) = (7, 100);
    let values = numbers.values(n * k);
    for format in FORMATS {
        let packed = quant::pack(format, &values, n, k);
        let back = quant::dequantize(
            format,
            bytemuck::cast_slice(&packed.packed),
            bytemuck::cast_slice(&packed.scales),
            n,
            k,
        );
        for (row, (values, back)) in values.chunks(k).zip(back.chunks(k)).enumerate() {
            for (group, (values, back)) in values.chunks(32).zip(back.chunks(32)).enumerate() {
                let bound = quant::error_bound(format, values);
                let worst = values.iter().zip(back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= bound, "{format:?} row {row} group {group}: {worst} > {bound}");
            }
        }
    }
}
