//! Every kernel against its twin: `WgpuEngine` plays the same recording as the simulator's plain twins, over random and
//! awkward shapes. Seeds are fixed.

use gpu::engine::wgpu::WgpuEngine;
use gpu::engine::{Engine, NO_THOUGHT, State};
use gpu::recording::{GeluForm, Op, RawDType};
use gpu::tensor::DType;
use gpu::weights::{Format, quant};
use half::{bf16, f16};
use sim::{Kernels, SimEngine};
use tests::close;
use tests::twin::{Build, Numbers, compare, plain_engines};

mod attention;
mod coop;
mod decode;
mod sample;
mod speech;

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

/// Holds each case to the twin, and reports all that fail.
fn hold<C: std::fmt::Debug>(tolerance: f32, cases: impl IntoIterator<Item = C>, build: impl Fn(&C, &mut Build<'_>)) {
    hold_on(plain_engines(true), tolerance, cases, build);
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

/// A sequence of `kv_len` tokens that is fed `n_tokens` more.
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
