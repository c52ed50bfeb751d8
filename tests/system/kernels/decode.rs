//! Kernels of decoding (integer dot products, split attention) and the plans that join them, against the twins.

use gpu::engine::Engine;
use gpu::engine::wgpu::WgpuEngine;
use gpu::plan::{Single, Variants, Vector};
use gpu::recording::{Buffer, GeluForm, KvLayer, Op};
use gpu::tensor::DType;
use gpu::weights::Format;
use half::f16;
use tests::close;
use tests::twin::{Build, Numbers, gpu_engines};

use super::{LinearCase, Tail, build_linear, hold_on, state};

/// Engines that take these kernels whatever the adapter is: sums by its subgroups if it has some, and through workgroup
/// memory; planned as for it, and as for a GPU.
fn engines() -> Vec<WgpuEngine> {
    let mut engines = Vec::new();
    for subgroup in [true, false] {
        for mut engine in gpu_engines(true) {
            let mut variants = Variants::of(engine.adapter());
            variants.vector = Vector::Dot;
            variants.single = Single::Split;
            if !subgroup {
                variants.team = Variants::plain(engine.adapter()).team;
            } else if !variants.team.subgroup {
                println!("SKIPPED: the adapter has no subgroups of one size");
                continue;
            }
            engine.set_variants(variants);
            engines.push(engine);
        }
    }
    engines
}

#[test]
fn dot_linear_matches_its_twin_on_awkward_shapes() {
    let mut cases = Vec::new();
    let shapes = [
        (1, 1),
        (7, 4304),
        (33, 72),
        (65, 100),
        (3, 33),
        (64, 64),
        (130, 4304),
        (129, 127),
        (48, 2),
        (513, 2048),
    ];
    for (i, (n, k)) in shapes.into_iter().enumerate() {
        for (j, format) in [Format::Q8, Format::Q4].into_iter().enumerate() {
            cases.push(LinearCase {
                t: 1,
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
    hold_on(engines(), close::DOT, cases, build_linear);
}

#[test]
fn dot_linear_matches_its_twin_on_random_shapes() {
    let mut numbers = Numbers::new(17);
    let cases: Vec<_> = (0..24)
        .map(|i| LinearCase {
            t: 1,
            // With few sums one of them may all but cancel.
            n: 50 + numbers.below(300),
            k: 1 + numbers.below(5000),
            format: [Format::Q8, Format::Q4][i % 2],
            parts: 1 + numbers.below(4),
            bias: numbers.below(2) == 1,
            tail: [None, Some(Tail::Add), Some(Tail::Gelu(GeluForm::Tanh))][numbers.below(3)],
        })
        .collect();
    hold_on(engines(), close::DOT, cases, build_linear);
}

/// 151,936 rows.
#[test]
fn dot_linear_matches_its_twin_over_a_whole_vocabulary() {
    let cases = [(Format::Q8, 3), (Format::Q4, 1)].map(|(format, parts)| LinearCase {
        t: 1,
        n: 151_936,
        k: 40,
        format,
        parts,
        bias: false,
        tail: None,
    });
    hold_on(engines(), close::DOT, cases, build_linear);
}

/// An outlier a thousand times as large as the rest takes its group's precision, no other group's.
#[test]
fn packed_activations_keep_outliers_to_their_group() {
    hold_on(engines(), close::DOT, [Format::Q8, Format::Q4], |&format, b| {
        let mut numbers = Numbers::new(3);
        let mut values = numbers.values(256);
        let weights: Vec<f32> = (0..64 * 256)
            .map(|i| if i % 256 / 32 == 1 { 0.0 } else { numbers.value() })
            .collect();
        values[40] = 1000.0;
        let x = b.floats(&values, [1, 256]);
        let weight = b.weight(format, &weights, 64, 256, 1);
        let y = b.rec.temp([1, 64]);
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
struct HeadsCase {
    kv_len: usize,
    block: usize,
    h: usize,
    kv: usize,
    e: usize,
    dtype: DType,
}

/// A cache with shuffled blocks that holds random tokens.
fn cache(b: &mut Build<'_>, case: &HeadsCase, numbers: &mut Numbers) -> KvLayer {
    let HeadsCase { block, kv, e, dtype, .. } = *case;
    let used = (case.kv_len + 1).div_ceil(block);
    let n_blocks = used + 2;
    let mut fill = |b: &mut Build<'_>| {
        let values = numbers.values(n_blocks * block * kv * e);
        let bytes: Vec<u8> = match dtype {
            DType::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            _ => bytemuck::cast_slice(&values).to_vec(),
        };
        b.raw(&bytes, dtype, [n_blocks, block, kv, e])
    };
    let (k, v) = (fill(b), fill(b));
    let table: Vec<u32> = (0..n_blocks).map(|i| ((i * 2 + 1) % n_blocks.max(1)) as u32).collect();
    // A permutation: two strides that have no divisor in common with an odd length.
    let table = if n_blocks % 2 == 1 {
        table
    } else {
        (0..n_blocks as u32).rev().collect()
    };
    KvLayer {
        k,
        v,
        table: b.words(&table, [n_blocks]),
        block,
        dtype,
    }
}

fn attend(b: &mut Build<'_>, q: Buffer, cache: KvLayer, state: Buffer, shape: [usize; 3]) -> Buffer {
    let y = b.rec.temp(shape);
    b.rec.ops.push(Op::CachedAttention {
        q,
        cache,
        state,
        scale: (shape[2] as f32).sqrt().recip(),
        y,
    });
    y
}

/// One row from its projections, and then another query that finds what was appended; ready queries too.
#[test]
fn split_attention_matches_its_twin() {
    let mut cases = Vec::new();
    for dtype in [DType::F32, DType::F16] {
        for (kv_len, block, h, kv, e) in [
            (0, 16, 2, 1, 32),
            (37, 16, 4, 2, 128),
            (63, 32, 4, 1, 128),
            (64, 32, 8, 2, 64),
            (200, 16, 4, 4, 72),
            (511, 32, 6, 2, 128),
            (700, 7, 12, 2, 72),
            (3000, 32, 2, 1, 128),
        ] {
            cases.push(HeadsCase {
                kv_len,
                block,
                h,
                kv,
                e,
                dtype,
            });
        }
    }
    hold_on(engines(), close::ATTENTION, cases, |case, b| {
        let HeadsCase { kv_len, h, kv, e, .. } = *case;
        let mut numbers = Numbers::new((kv_len + h * e) as u64);
        let cache = cache(b, case, &mut numbers);
        let state = b.raw(bytemuck::bytes_of(&state(kv_len, 1)), DType::U32, [12]);
        // Neither as large as in a model nor rounded to f16: one step of the newest key would show.
        let f32_only = case.dtype == DType::F32;
        let q = numbers.values(h * e);
        let q = b.floats(&q, [1, h, e]);
        if f32_only || kv_len > 0 {
            let (query, key, value) = project(b, &mut numbers, [h, kv, e]);
            let (query, key) = (prepare(b, &mut numbers, query, 2), prepare(b, &mut numbers, key, 2));
            b.rec.ops.push(Op::KvAppend {
                k: key,
                v: value,
                cache,
                state,
            });
            let y = attend(b, query, cache, state, [1, h, e]);
            b.out("raw", y);
        }
        let y = attend(b, q, cache, state, [1, h, e]);
        b.out("ready", y);
    });
}

/// What projections would give: temporaries, as in a model.
fn project(b: &mut Build<'_>, numbers: &mut Numbers, [h, kv, e]: [usize; 3]) -> (Buffer, Buffer, Buffer) {
    let mut temp = |b: &mut Build<'_>, heads: usize| {
        let values = numbers.values(heads * e);
        let zeros = vec![0.0; heads * e];
        let (a, zero) = (b.floats(&values, [1, heads, e]), b.floats(&zeros, [1, heads, e]));
        let y = b.rec.temp([1, heads, e]);
        b.rec.ops.push(Op::Add { a, b: zero, y });
        y
    };
    (temp(b, h), temp(b, kv), temp(b, kv))
}

/// Norm by head and rotation; the same table for all, by position 5.
fn prepare(b: &mut Build<'_>, numbers: &mut Numbers, x: Buffer, axes: usize) -> Buffer {
    let shape = b.rec.shape(x).clone();
    let e = shape.last();
    let weight: Vec<f32> = numbers.values(e).iter().map(|v| 1.0 + 0.3 * v).collect();
    let weight = b.floats(&weight, [e]);
    let normed = b.rec.temp(shape.clone());
    b.rec.ops.push(Op::RmsNorm {
        x,
        weight,
        eps: 1e-6,
        y: normed,
    });
    let y = b.rec.temp(shape);
    let [table, map, pos] = turns(b, e, axes);
    b.rec.ops.push(Op::Rope {
        x: normed,
        table,
        map,
        pos,
        y,
    });
    y
}

/// The same three tensors for whoever asks.
fn turns(b: &mut Build<'_>, e: usize, axes: usize) -> [Buffer; 3] {
    let same = b.rec.ops.iter().find_map(|op| match op {
        Op::Rope { table, map, pos, .. } => Some([*table, *map, *pos]),
        _ => None,
    });
    if let Some(same) = same {
        return same;
    }
    let (mut numbers, positions) = (Numbers::new(99), 9);
    let turns: Vec<f32> = (0..positions * e / 2)
        .flat_map(|_| {
            let (s, c) = (numbers.value() * 3.0).sin_cos();
            [c, s]
        })
        .collect();
    let table = b.floats(&turns, [positions, e / 2, 2]);
    let map: Vec<u32> = (0..e / 2).map(|j| ((j % axes) as u32) << 16 | j as u32).collect();
    let map = b.words(&map, [e / 2]);
    let pos: Vec<u32> = (0..axes).map(|axis| 5 + axis as u32).collect();
    [table, map, b.words(&pos, [axes, 1])]
}

#[derive(Clone, Copy, Debug)]
struct LayerCase {
    d: usize,
    h: usize,
    kv: usize,
    e: usize,
    f: usize,
    format: Format,
    head: Format,
    kv_len: usize,
    parts: usize,
}

/// Two layers and the output layer, as a model writes them.
#[test]
fn decode_layers_match_their_twins() {
    let case = |d, h, kv, e, f, format, head, kv_len, parts| LayerCase {
        d,
        h,
        kv,
        e,
        f,
        format,
        head,
        kv_len,
        parts,
    };
    let cases = [
        case(64, 4, 2, 32, 96, Format::Q4, Format::Q8, 0, 1),
        case(100, 2, 1, 72, 130, Format::Q8, Format::Q8, 40, 1),
        case(1152, 4, 1, 128, 4304, Format::Q4, Format::Q8, 130, 1),
        case(160, 10, 2, 16, 256, Format::Q4, Format::Q4, 70, 1),
        case(256, 4, 2, 64, 512, Format::Q4, Format::Q8, 300, 4),
        case(96, 3, 1, 32, 200, Format::F16, Format::Q8, 66, 1),
    ];
    hold_on(engines(), close::DOT_LAYERS, cases, |case, b| {
        let mut numbers = Numbers::new((case.d + case.f) as u64);
        let state = b.raw(bytemuck::bytes_of(&state(case.kv_len, 1)), DType::U32, [12]);
        let mut x = b.floats(&numbers.values(case.d), [1, case.d]);
        for i in 0..2 {
            x = layer(b, case, &mut numbers, state, x);
            b.out(&format!("layer{i}"), x);
        }
        let h = norm(b, &mut numbers, x, case.d);
        let logits = linear(b, &mut numbers, h, [1000, case.d], case.head, 1);
        b.out("logits", logits);
    });
}

fn norm(b: &mut Build<'_>, numbers: &mut Numbers, x: Buffer, d: usize) -> Buffer {
    let weight: Vec<f32> = numbers.values(d).iter().map(|v| 1.0 + 0.5 * v).collect();
    let weight = b.floats(&weight, [d]);
    let y = b.rec.temp([1, d]);
    b.rec.ops.push(Op::RmsNorm { x, weight, eps: 1e-6, y });
    y
}

fn linear(b: &mut Build<'_>, numbers: &mut Numbers, x: Buffer, [n, k]: [usize; 2], format: Format, parts: usize) -> Buffer {
    let scale = (k as f32).sqrt().recip();
    let values: Vec<f32> = numbers.values(n * k).iter().map(|v| v * scale).collect();
    let weight = b.weight(format, &values, n, k, parts);
    let y = b.rec.temp([1, n]);
    b.rec.ops.push(Op::Linear {
        x,
        weight,
        bias: None,
        y,
    });
    y
}

fn layer(b: &mut Build<'_>, case: &LayerCase, numbers: &mut Numbers, state: Buffer, x: Buffer) -> Buffer {
    let LayerCase {
        d,
        h: heads,
        kv,
        e,
        f,
        format,
        parts,
        ..
    } = *case;
    let heads_case = HeadsCase {
        kv_len: case.kv_len,
        block: 16,
        h: heads,
        kv,
        e,
        dtype: DType::F32,
    };
    let cache = cache(b, &heads_case, numbers);
    let h = norm(b, numbers, x, d);
    let q = linear(b, numbers, h, [heads * e, d], format, parts);
    let k = linear(b, numbers, h, [kv * e, d], format, parts);
    let v = linear(b, numbers, h, [kv * e, d], format, parts);
    let [q, k, v] = [(q, heads), (k, kv), (v, kv)].map(|(x, n)| b.rec.view(x, [1, n, e]).expect("as many values"));
    let (q, k) = (prepare(b, numbers, q, 3), prepare(b, numbers, k, 3));
    b.rec.ops.push(Op::KvAppend { k, v, cache, state });
    let y = attend(b, q, cache, state, [1, heads, e]);
    let h = b.rec.view(y, [1, heads * e]).expect("as many values");
    let h = linear(b, numbers, h, [d, heads * e], format, 1);
    let sum = b.rec.temp([1, d]);
    b.rec.ops.push(Op::Add { a: x, b: h, y: sum });
    let h = norm(b, numbers, sum, d);
    let gate = linear(b, numbers, h, [f, d], format, parts);
    let up = linear(b, numbers, h, [f, d], format, parts);
    let bent = b.rec.temp([1, f]);
    b.rec.ops.push(Op::SwiGlu { gate, up, y: bent });
    let h = linear(b, numbers, bent, [d, f], format, 1);
    let out = b.rec.temp([1, d]);
    b.rec.ops.push(Op::Add { a: sum, b: h, y: out });
    out
}
