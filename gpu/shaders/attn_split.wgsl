// Attention of one new token over a split of the cache: a workgroup has up to four query heads of one kv head, so that
// keys and values are read once for all of them. `attn_combine` puts the splits together.
//
//   q [H, E]  f32, as part `query` says; E % 8 == 0
//   cache     as part `eight` has it; `table` finds blocks, `state` says how many tokens there are
//   partial   [H, n_splits, E] sums weighted by exp(score − top), then [H, n_splits, 2] (top, weight) in f32
//
// grid   [n_splits, K, ceil(H / K / 4)]: splits that have no keys end at once
// parts  query (ready | raw), eight (f32 | f16), team (subgroup | shared), splits
// cost   reads the cache's keys and values once: memory-bound
override LANES: u32 = 32u; // of a team: the subgroup's size, or any power of two
override TEAMS: u32 = 4u;  // of a workgroup
override E: u32 = 128u;
struct Params {
    heads: u32,
    kv_heads: u32,
    s: u32, // tokens that the table can name
    block: u32,
    n_splits: u32,
    f: u32, // frequencies of a row of `turns`
    scale: f32,
    eps_q: f32,
    eps_k: f32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
// The rest of group 0 is declared by part `query`, the cache by part `eight`.
@group(1) @binding(2) var<storage, read> table: array<u32>;
@group(1) @binding(3) var<storage, read> state: array<u32>; // kv_len, n_tokens, …
var<workgroup> query: array<vec4<f32>, E>; // by value: four heads
var<workgroup> weights: array<vec4<f32>, LANES * TEAMS>;
var<workgroup> spill: array<vec4<f32>, LANES * TEAMS * 4u>;

// Where key s of a kv head starts, in eights.
fn key_base(s: u32, kv_head: u32) -> u32 {
    let row = table[s / params.block] * params.block + s % params.block;
    return (row * params.kv_heads + kv_head) * (E / 8u);
}

@compute @workgroup_size(LANES * TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n_keys = min(state[0] + min(state[1], 1u), params.s);
    let chunk = split_keys(n_keys, params.n_splits);
    let begin = group.x * chunk;
    if begin >= n_keys {
        return;
    }
    let end = min(begin + chunk, n_keys);
    let kv_head = group.y;
    let per_kv = params.heads / params.kv_heads;
    let first_head = kv_head * per_kv + 4u * group.z;
    let count = min(4u, per_kv - 4u * group.z);
    prepare(lane, first_head, count, kv_head, end == n_keys && state[1] > 0u);

    // For values the lanes are split into runs of E / 8: a run takes every `runs`-th key of a tile.
    let wide = LANES * TEAMS;
    let runs = wide / (E / 8u);
    let run = lane / (E / 8u);
    let column = lane % (E / 8u);
    var top = vec4<f32>(-3.0e38);
    var sum = vec4<f32>();
    var acc: array<vec4<f32>, 8>;
    for (var tile = begin; tile < end; tile += wide) {
        let s = tile + lane;
        let base = key_base(min(s, end - 1u), kv_head);
        var score = vec4<f32>();
        for (var i = 0u; i < E / 8u; i++) {
            let key = key8(base + i);
            score += query[8u * i] * key.low.x + query[8u * i + 1u] * key.low.y + query[8u * i + 2u] * key.low.z
                + query[8u * i + 3u] * key.low.w + query[8u * i + 4u] * key.high.x + query[8u * i + 5u] * key.high.y
                + query[8u * i + 6u] * key.high.z + query[8u * i + 7u] * key.high.w;
        }
        score = select(vec4<f32>(-3.0e38), score, s < end);
        let peak = max(top, all_max(lane, score));
        let weight = select(vec4<f32>(), exp(score - peak), s < end);
        weights[lane] = weight;
        let factor = exp(top - peak);
        sum = sum * factor + near_sum(lane, weight, TEAMS);
        top = peak;
        for (var c = 0u; c < 8u; c++) {
            acc[c] *= factor;
        }
        let in_tile = min(wide, end - tile);
        if run < runs {
            for (var j = run; j < in_tile; j += 4u * runs) {
                // Four keys are loaded before the first is used.
                var at: array<u32, 4>;
                var w: array<vec4<f32>, 4>;
                for (var u = 0u; u < 4u; u++) {
                    let key = j + u * runs;
                    at[u] = key_base(tile + min(key, in_tile - 1u), kv_head) + column;
                    w[u] = select(vec4<f32>(), weights[min(key, wide - 1u)], key < in_tile);
                }
                let v0 = value8(at[0]);
                let v1 = value8(at[1]);
                let v2 = value8(at[2]);
                let v3 = value8(at[3]);
                for (var c = 0u; c < 4u; c++) {
                    acc[c] += w[0] * v0.low[c] + w[1] * v1.low[c] + w[2] * v2.low[c] + w[3] * v3.low[c];
                    acc[c + 4u] += w[0] * v0.high[c] + w[1] * v1.high[c] + w[2] * v2.high[c] + w[3] * v3.high[c];
                }
            }
        }
        workgroupBarrier();
    }

    // The upper half of the runs hands its sums to the lower, until one is left.
    for (var left = runs; left > 1u; left = (left + 1u) / 2u) {
        let kept = (left + 1u) / 2u;
        workgroupBarrier();
        if run >= kept && run < left {
            for (var c = 0u; c < 8u; c++) {
                spill[c * (wide / 2u) + (run - kept) * (E / 8u) + column] = acc[c];
            }
        }
        workgroupBarrier();
        if run < left - kept {
            for (var c = 0u; c < 8u; c++) {
                acc[c] += spill[c * (wide / 2u) + run * (E / 8u) + column];
            }
        }
    }
    if run == 0u {
        for (var h = 0u; h < count; h++) {
            let at = ((first_head + h) * params.n_splits + group.x) * E + 8u * column;
            for (var c = 0u; c < 8u; c++) {
                partial[at + c] = acc[c][h];
            }
        }
    }
    if lane < count {
        let at = params.heads * params.n_splits * E + 2u * ((first_head + lane) * params.n_splits + group.x);
        partial[at] = top[lane];
        partial[at + 1u] = sum[lane];
    }
}
