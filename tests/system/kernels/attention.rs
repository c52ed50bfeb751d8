//! Attention, and the cache that it reads, against their twins.

use gpu::recording::{Buffer, KvLayer, Op};
use gpu::tensor::DType;
use gpu::weights::Format;
use half::f16;
use tests::close;
use tests::twin::{Build, Numbers, plain_engines};

use super::{hold, hold_on, state};

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
        plain_engines(false),
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
    hold_on(
        plain_engines(false),
        close::LINEAR,
        [(6, 12_288), (1, 12_288)],
        |&(t, k), b| {
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
        },
    );
}

#[derive(Clone, Copy, Debug)]
pub struct CacheCase {
    pub t: usize,
    pub n_tokens: usize,
    pub kv_len: usize,
    pub block: usize,
    pub h: usize,
    pub kv: usize,
    pub e: usize,
    pub dtype: DType,
}

/// Of each shape (t, n_tokens, kv_len, block, h, kv, e), with a cache of f32 and of f16.
pub fn cache_cases(shapes: &[[usize; 7]]) -> Vec<CacheCase> {
    let of = |dtype| {
        shapes.iter().map(move |&[t, n_tokens, kv_len, block, h, kv, e]| CacheCase {
            t,
            n_tokens,
            kv_len,
            block,
            h,
            kv,
            e,
            dtype,
        })
    };
    of(DType::F32).chain(of(DType::F16)).collect()
}

/// A chunk that is appended to a cache with shuffled blocks that holds random tokens, and attends over it: `y [t, h, e]`.
pub fn build_cached(case: &CacheCase, b: &mut Build<'_>) -> Buffer {
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
    y
}

/// Appends a chunk to a cache with shuffled blocks that holds random tokens, then attends over it.
#[test]
fn cached_attention_and_kv_append_match_their_twins() {
    let cases = cache_cases(&[
        [1, 1, 0, 16, 2, 1, 32],
        [1, 1, 37, 16, 4, 2, 128],
        [1, 1, 200, 16, 4, 4, 72],
        [1, 0, 5, 4, 2, 2, 64],
        [5, 3, 0, 3, 4, 2, 64],
        [33, 33, 30, 16, 2, 1, 32],
        [40, 17, 65, 8, 2, 2, 128],
        [64, 64, 0, 16, 4, 1, 72],
        [0, 0, 3, 16, 2, 1, 32],
    ]);
    hold(close::ATTENTION, cases, |case, b| {
        let &CacheCase {
            t,
            n_tokens,
            kv_len,
            h,
            e,
            ..
        } = case;
        let y = build_cached(case, b);
        let words = state(kv_len, n_tokens);
        let state = b.raw(bytemuck::bytes_of(&words), DType::U32, [12]);
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
