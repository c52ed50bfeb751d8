// Attention of one new token over a split of the cache: a workgroup has up to four query heads of one kv head, so that
// keys and values are read once for all of them. `attn_combine` puts the splits together.
//
//   q [H, E]  f32, as part `query` says; E % 8 == 0
//   cache     as part `eight` has it; `table` finds blocks
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
    scale: f32,
    eps_q: f32,
    eps_k: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
// The rest of group 0 is declared by part `query`, the cache by part `eight`.
@group(1) @binding(2) var<storage, read> table: array<u32>;
var<workgroup> factors: array<f32, 5>; // of each head, and of the newest key
var<workgroup> query: array<vec4<f32>, E>; // by value: four heads
var<workgroup> weights: array<vec4<f32>, LANES * TEAMS>;
var<workgroup> spill: array<vec4<f32>, LANES * TEAMS * 4u>; // first of all the heads one by one, as part `query` prepares them

// Where key s of a kv head starts, in eights.
fn key_base(s: u32, kv_head: u32) -> u32 {
    let row = table[s / params.block] * params.block + s % params.block;
    return (row * params.kv_heads + kv_head) * (E / 8u);
}

@compute @workgroup_size(LANES * TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let keys = keys_of_step();
    let n_keys = keys.x;
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
    // Where the lane's key lies is looked up a tile ahead.
    let wide = LANES * TEAMS;
    var base = key_base(min(begin + lane, end - 1u), kv_head);
    prepare(lane, first_head, count, kv_head, end == n_keys && keys.y > 0u);
    for (var e = lane; e < E; e += wide) {
        query[e] = vec4<f32>(
            spill[e].x * factors[0],
            select(0.0, spill[E + e].x * factors[1], count > 1u),
            select(0.0, spill[2u * E + e].x * factors[2], count > 2u),
            select(0.0, spill[3u * E + e].x * factors[3], count > 3u),
        );
    }
    workgroupBarrier();

    // For values the lanes are split into runs of E / 8: a run takes every `runs`-th key of a tile.
    let runs = wide / (E / 8u);
    let run = lane / (E / 8u);
    let column = lane % (E / 8u);
    var top = vec4<f32>(-3.0e38);
    var sum = vec4<f32>();
    //% let N = 8
    //% for c in N
    var acc$c = vec4<f32>(); // value c of the lane's column: four heads
    //% end
    for (var tile = begin; tile < end; tile += wide) {
        let s = tile + lane;
        var score = vec4<f32>();
        for (var i = 0u; i < E / 8u; i++) {
            let key = key8(base + i);
            score += query[8u * i] * key.low.x + query[8u * i + 1u] * key.low.y + query[8u * i + 2u] * key.low.z
                + query[8u * i + 3u] * key.low.w + query[8u * i + 4u] * key.high.x + query[8u * i + 5u] * key.high.y
                + query[8u * i + 6u] * key.high.z + query[8u * i + 7u] * key.high.w;
        }
        score = select(vec4<f32>(-3.0e38), score, s < end);
        // The first values are on their way while scores become weights.
        let in_tile = min(wide, end - tile);
        //% let KEYS = 4
        //% for u in KEYS
        var value$u = value8(key_base(tile + min(run + $uu * runs, in_tile - 1u), kv_head) + column);
        //% end
        base = key_base(min(s + wide, end - 1u), kv_head);
        let peak = max(top, near_max(lane, score, TEAMS));
        let weight = select(vec4<f32>(), exp(score - peak), s < end);
        weights[lane] = weight;
        let factor = exp(top - peak);
        sum = sum * factor + near_sum(lane, weight, TEAMS);
        top = peak;
        //% for c in N
        acc$c *= factor;
        //% end
        if run < runs {
            var j = run;
            loop {
                //% for u in KEYS
                let weight$u = select(vec4<f32>(), weights[min(j + $uu * runs, wide - 1u)], j + $uu * runs < in_tile);
                acc0 += weight$u * value$u.low.x;
                acc1 += weight$u * value$u.low.y;
                acc2 += weight$u * value$u.low.z;
                acc3 += weight$u * value$u.low.w;
                acc4 += weight$u * value$u.high.x;
                acc5 += weight$u * value$u.high.y;
                acc6 += weight$u * value$u.high.z;
                acc7 += weight$u * value$u.high.w;
                //% end
                j += 4u * runs;
                if j >= in_tile {
                    break;
                }
                //% for u in KEYS
                value$u = value8(key_base(tile + min(j + $uu * runs, in_tile - 1u), kv_head) + column);
                //% end
            }
        }
        workgroupBarrier();
    }

    // The upper half of the runs hands its sums to the lower, until one is left.
    for (var left = runs; left > 1u; left = (left + 1u) / 2u) {
        let kept = (left + 1u) / 2u;
        workgroupBarrier();
        if run >= kept && run < left {
            let to = (run - kept) * (E / 8u) + column;
            //% for c in N
            spill[$cu * (wide / 2u) + to] = acc$c;
            //% end
        }
        workgroupBarrier();
        if run < left - kept {
            let at = run * (E / 8u) + column;
            //% for c in N
            acc$c += spill[$cu * (wide / 2u) + at];
            //% end
        }
    }
    if run == 0u {
        let at = (first_head * params.n_splits + group.x) * E + 8u * column;
        let stride = params.n_splits * E;
        //% for c in N
        partial[at + $cu] = acc$c.x;
        if count > 1u { partial[at + stride + $cu] = acc$c.y; }
        if count > 2u { partial[at + 2u * stride + $cu] = acc$c.z; }
        if count > 3u { partial[at + 3u * stride + $cu] = acc$c.w; }
        //% end
    }
    if lane < count {
        let at = params.heads * params.n_splits * E + 2u * ((first_head + lane) * params.n_splits + group.x);
        partial[at] = select(select(top.w, top.z, lane == 2u), select(top.y, top.x, lane == 0u), lane < 2u);
        partial[at + 1u] = select(select(sum.w, sum.z, lane == 2u), select(sum.y, sum.x, lane == 0u), lane < 2u);
    }
}
