//! Kernels on cooperative matrices against the twins. Where the adapter has none there is nothing to hold: `SKIPPED`.

use gpu::engine::Engine;
use gpu::engine::wgpu::WgpuEngine;
use gpu::plan::{Product, Variants};
use gpu::recording::{Buffer, GeluForm, Op};
use gpu::tensor::DType;
use gpu::weights::Format;
use half::f16;
use tests::close;
use tests::twin::{Build, Numbers, gpu_engines};

use super::attention::{build_cached, cache_cases};
use super::{LinearCase, Tail, build_linear, hold_on, state};

const FORMATS: [Format; 3] = [Format::F16, Format::Q8, Format::Q4];

/// Engines whose adapter has matrices, with and without checks in their shaders.
fn engines() -> Vec<WgpuEngine> {
    let mut engines = gpu_engines(true);
    engines.extend(gpu_engines(false));
    engines.retain_mut(|engine| {
        let variants = Variants::of(engine.adapter());
        let has = variants.matmul == Product::Coop;
        engine.set_variants(variants);
        has
    });
    if engines.is_empty() {
        println!("SKIPPED: the adapter has no cooperative matrices of 16 × 16 f16");
    }
    engines
}

#[test]
fn linear_on_matrices_matches_its_twin_on_awkward_shapes() {
    let mut cases = Vec::new();
    let shapes = [
        (5, 4, 4),
        (64, 64, 64),
        (65, 68, 60),
        (70, 132, 4304),
        (130, 1152, 100),
        (300, 520, 96),
        (1500, 1032, 224),
        (257, 4304, 1152),
        (1400, 1148, 68), // in tiles of 128 × 96
    ];
    for (i, (t, n, k)) in shapes.into_iter().enumerate() {
        for (j, format) in FORMATS.into_iter().enumerate() {
            cases.push(LinearCase {
                t,
                n,
                k,
                format,
                parts: if n % 12 == 0 { 1 + (i + j) % 3 } else { 1 },
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
    hold_on(engines(), close::HALVES, cases, build_linear);
}

/// A block's second half: what is between its kernels is f16, and gate and up are one kernel.
#[test]
fn norm_swiglu_and_gelu_stay_halves_and_match_their_twins() {
    let mut cases = Vec::new();
    for format in FORMATS {
        for layer in [false, true] {
            for (t, d, f) in [
                (6, 32, 64),
                (70, 100, 260),
                (200, 1152, 516),
                (513, 64, 1028),
                (1300, 64, 572),
            ] {
                cases.push((format, layer, t, d, f));
            }
        }
    }
    hold_on(engines(), close::HALVES, cases, |&(format, layer, t, d, f), b| {
        let mut numbers = Numbers::new((t + d + f) as u64);
        let mut linear = |b: &mut Build<'_>, x, n: usize, k: usize, bias: bool| {
            let weight = b.weight(format, &numbers.values(n * k), n, k, 1);
            let bias = bias.then(|| b.floats(&numbers.values(n), [n]));
            let y = b.rec.temp([t, n]);
            b.rec.ops.push(Op::Linear { x, weight, bias, y });
            y
        };
        let mut numbers = Numbers::new(t as u64);
        let x = b.floats(&numbers.values(t * d), [t, d]);
        let weight = b.floats(&numbers.values(d), [d]);
        let bias = b.floats(&numbers.values(d), [d]);
        let (h, eps) = (b.rec.temp([t, d]), 1e-6);
        b.rec.ops.push(match layer {
            true => Op::LayerNorm {
                x,
                weight,
                bias,
                eps,
                y: h,
            },
            false => Op::RmsNorm { x, weight, eps, y: h },
        });
        let inner = b.rec.temp([t, f]);
        if layer {
            let y = linear(b, h, f, d, true);
            b.rec.ops.push(Op::Gelu {
                x: y,
                form: GeluForm::Tanh,
                y: inner,
            });
        } else {
            let gate = linear(b, h, f, d, false);
            let up = linear(b, h, f, d, false);
            b.rec.ops.push(Op::SwiGlu { gate, up, y: inner });
        }
        let y = linear(b, inner, d, f, layer);
        let sum = b.rec.temp([t, d]);
        b.rec.ops.push(Op::Add { a: x, b: y, y: sum });
        b.out("y", sum);
    });
}

/// A linear layer behind attention, so that what is between them is f16.
fn then_linear(b: &mut Build<'_>, h: Buffer, t: usize, width: usize) -> Buffer {
    let mut numbers = Numbers::new((t + width) as u64);
    let weight = b.weight(Format::Q8, &numbers.values(64 * width), 64, width, 1);
    let x = b.rec.view(h, [t, width]).expect("as many elements");
    let y = b.rec.temp([t, 64]);
    b.rec.ops.push(Op::Linear {
        x,
        weight,
        bias: None,
        y,
    });
    y
}

/// What f16 can hold: rounding scores of ten and more would say nothing of the kernel.
fn halves(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&v| f16::from_f32(v).to_f32()).collect()
}

#[test]
fn attention_on_matrices_matches_its_twin() {
    let shapes = [
        (5, 1, 2, 2, 32),
        (33, 33, 3, 3, 72),
        (40, 100, 4, 4, 128),
        (70, 17, 2, 2, 16),
        (129, 130, 2, 2, 72),
        (257, 300, 2, 1, 64),
        (300, 1000, 2, 2, 80),
        (130, 65, 4, 1, 124),
    ];
    hold_on(engines(), close::HALVES, shapes, |&(t, s, h, kv, e), b| {
        let mut numbers = Numbers::new((t + s * 3 + e) as u64);
        // Scores that reach far and grow along the keys, so that references move again and again.
        let spread: Vec<f32> = numbers.values(t * h * e).iter().map(|v| v * 4.0).collect();
        let q = b.floats(&halves(&spread), [t, h, e]);
        let grow = |i: usize| 0.2 + 3.0 * (i / (kv * e)) as f32 / s as f32;
        let keys: Vec<f32> = numbers
            .values(s * kv * e)
            .iter()
            .enumerate()
            .map(|(i, v)| v * grow(i))
            .collect();
        let k = b.floats(&halves(&keys), [s, kv, e]);
        let v = b.floats(&halves(&numbers.values(s * kv * e)), [s, kv, e]);
        let y = b.rec.temp([t, h, e]);
        b.rec.ops.push(Op::Attention {
            q,
            k,
            v,
            scale: (e as f32).sqrt().recip(),
            y,
        });
        let out = then_linear(b, y, t, h * e);
        b.out("y", out);
    });
}

#[test]
fn cached_attention_on_matrices_matches_its_twin() {
    let cases = cache_cases(&[
        [5, 3, 0, 3, 4, 2, 64],
        [33, 33, 30, 16, 2, 1, 32],
        [40, 17, 65, 8, 2, 2, 128],
        [64, 64, 0, 16, 4, 1, 72],
        [256, 256, 0, 32, 4, 2, 128],
        [200, 131, 333, 32, 4, 4, 128],
    ]);
    hold_on(engines(), close::HALVES, cases, |case, b| {
        let y = build_cached(case, b);
        let out = then_linear(b, y, case.t, case.h * case.e);
        let words = state(case.kv_len, case.n_tokens);
        let state = b.raw(bytemuck::bytes_of(&words), DType::U32, [12]);
        let last = b.rec.temp([1, 64]);
        b.rec.ops.push(Op::TakeLast { x: out, state, y: last });
        if case.n_tokens == case.t {
            b.out("y", out);
        }
        b.out("last", last);
    });
}

/// Keys that were turned and values that were multiplied only for an attention are f16, too.
#[test]
fn a_block_of_the_tower_matches_its_twin() {
    hold_on(
        engines(),
        close::HALVES,
        [(40, 2, 72), (300, 4, 64), (129, 1, 128)],
        |&(t, h, e), b| {
            let d = h * e;
            let mut numbers = Numbers::new((t + d) as u64);
            let x = b.floats(&numbers.values(t * d), [t, d]);
            let table = b.floats(&numbers.values(16 * 8 * 2), [16, 8, 2]);
            let map: Vec<u32> = (0..e / 2).map(|j| (((j % 2) << 16) | (j % 8)) as u32).collect();
            let map = b.words(&map, [e / 2]);
            let places: Vec<u32> = (0..2 * t).map(|_| numbers.below(16) as u32).collect();
            let pos = b.words(&places, [2, t]);
            let linear = |b: &mut Build<'_>, numbers: &mut Numbers, x| {
                let small: Vec<f32> = numbers.values(d * d).iter().map(|v| v / (d as f32).sqrt()).collect();
                let weight = b.weight(Format::Q8, &small, d, d, 1);
                let bias = Some(b.floats(&numbers.values(d), [d]));
                let y = b.rec.temp([t, d]);
                b.rec.ops.push(Op::Linear { x, weight, bias, y });
                y
            };
            let [q, k, v] = [(); 3].map(|()| linear(b, &mut numbers, x));
            let [q, k, v] = [q, k, v].map(|x| b.rec.view(x, [t, h, e]).expect("as many elements"));
            let [q, k] = [q, k].map(|x| {
                let y = b.rec.temp([t, h, e]);
                b.rec.ops.push(Op::Rope { x, table, map, pos, y });
                y
            });
            let y = b.rec.temp([t, h, e]);
            b.rec.ops.push(Op::Attention {
                q,
                k,
                v,
                scale: (e as f32).sqrt().recip(),
                y,
            });
            let flat = b.rec.view(y, [t, d]).expect("as many elements");
            let y = linear(b, &mut numbers, flat);
            b.out("y", y);
        },
    );
}
