//! Kernels on cooperative matrices against the twins. Where the adapter has none there is nothing to hold: `SKIPPED`.

use gpu::engine::Engine;
use gpu::engine::wgpu::WgpuEngine;
use gpu::plan::{Product, Variants};
use gpu::recording::{GeluForm, Op};
use gpu::weights::Format;
use tests::close;
use tests::twin::{Build, Numbers, gpu_engines};

use super::{LinearCase, Tail, build_linear, hold_on};

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
            for (t, d, f) in [(6, 32, 64), (70, 100, 260), (200, 1152, 516), (513, 64, 1028)] {
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
