// y = softmax(q kᵀ · scale) v, a head at a time, by cooperative matrices: products of f16 summed in f32, online softmax in
// f32 over tiles of 32 keys.
//
//   q    [T, H, E]  f16, E % 4 == 0, E <= 16 EF
//   y    [T, H, E]  f16
//   k, v            as part `pages` has them: [S, K, E], or a cache behind a block table (causal)
//
// grid   [ceil(T / 128), H, 1]: a workgroup 128 queries of a head, a subgroup of 32 lanes 16 of them, two lanes a query
// needs  f16, subgroups, coop
// parts  pages (dense | halves | cache_f32 | cache_f16), width (80 | 128)
// cost   4 T S E H operations; keys and values are read ceil(T / 128) times a head
//
// Lanes cannot see into matrices: scores and their exponentials go through workgroup memory, of which each subgroup has its
// own piece; `subgroupBarrier` orders it here, since the engine says so to the compiler (`engine/wgpu/ordered.rs`). The sums
// so far are scaled down only when a score of some row of the subgroup passes the row's reference by 8 powers of two, which is
// rare; the exponentials stay below 256 that way. They are added up as they are multiplied, in f16, so that their rounding
// cancels. Every variable there is of whole 16 bytes: a driver reads matrices sixteen bytes at a time, and one word between two
// arrays made it read beside them.
// Source: Dao, "FlashAttention-2", arXiv:2307.08691.
override E4: u32 = 16u; // E / 4
const QUERIES: u32 = 128u;
const KEYS: u32 = 32u;
const LANES: u32 = 256u;
const ROW: u32 = 4u * EF + 2u; // vectors from a row of a tile to the next
const SCORES: u32 = 9u;        // the same for a row of scores
const WEIGHTS: u32 = 10u;      // the same for a row of exponentials
const UNITS: u32 = 2u * EF;    // pairs of vectors in a row
const SLACK: f32 = 8.0;
struct Params { t: u32, s: u32, heads: u32, kv_heads: u32, scale: f32, block: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f16>>;
// Group 1 is declared by part `pages`, EF by part `width`.
var<workgroup> k_tile: array<vec4<f16>, KEYS * ROW>;
var<workgroup> v_tile: array<vec4<f16>, KEYS * ROW>;
var<workgroup> scores: array<vec4<f32>, QUERIES * SCORES>;
var<workgroup> weights: array<vec4<f16>, QUERIES * WEIGHTS>;

// Vector i of a row of a tile: zeros beyond the head.
fn padded(raw: Raw, i: u32) -> vec4<f16> {
    return select(vec4<f16>(), half_of(raw), i < E4);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.y;
    let kv_head = head / (params.heads / params.kv_heads);
    let first_t = group.x * QUERIES;
    let subgroup = lane / 32u;
    let row = lane / 2u; // a lane's query, and which half of its scores
    let side = lane % 2u;
    let t = min(first_t + row, params.t - 1u);
    let n_keys = visible(min(first_t + QUERIES, params.t) - 1u);
    let my_keys = visible(t);
    let my_scores = subgroup * 16u * SCORES;
    let my_weights = subgroup * 16u * WEIGHTS;

    // The queries become matrices by way of `weights`.
//% for e in EF
    order();
    {
        let i = $eu * 4u + side * 2u;
        let base = (t * params.heads + head) * E4;
        let low = q[base + min(i, E4 - 1u)];
        let high = q[base + min(i + 1u, E4 - 1u)];
        weights[row * WEIGHTS + side * 2u] = select(vec4<f16>(), low, i < E4);
        weights[row * WEIGHTS + side * 2u + 1u] = select(vec4<f16>(), high, i + 1u < E4);
    }
    order();
    let q_$e = coopLoadT<coop_mat16x16<f16, A>>(&weights[my_weights], WEIGHTS);
    var sum_$e = coop_mat16x16<f32, C>();
//% end
    let scale = params.scale * 1.4426950408889634; // of an exponential of base two
    var top = -1.0e30; // what scores are compared with
    var total = 0.0;   // of this lane's exponentials

    // What a lane loads: two pairs of vectors of keys and of values, one tile ahead.
//% for u in 2
    let unit$u = lane + $uu * LANES;
    let s$u = min(unit$u / UNITS, KEYS - 1u);
    let i$u = unit$u % UNITS * 2u;
    let at$u = s$u * ROW + i$u;
    let low$u = min(i$u, E4 - 1u);
    let high$u = min(i$u + 1u, E4 - 1u);
    let base$u = key_base(min(s$u, max(n_keys, 1u) - 1u), kv_head);
    var k_low$u = keys[base$u + low$u];
    var k_high$u = keys[base$u + high$u];
    var v_low$u = values[base$u + low$u];
    var v_high$u = values[base$u + high$u];
//% end
    for (var first_s = 0u; first_s < n_keys; first_s += KEYS) {
        workgroupBarrier();
//% for u in 2
        if unit$u < KEYS * UNITS {
            k_tile[at$u] = padded(k_low$u, i$u);
            k_tile[at$u + 1u] = padded(k_high$u, i$u + 1u);
            v_tile[at$u] = padded(v_low$u, i$u);
            v_tile[at$u + 1u] = padded(v_high$u, i$u + 1u);
        }
//% end
        begin_tile(lane);
        workgroupBarrier();
//% for u in 2
        {
            let base = key_base(min(first_s + KEYS + s$u, n_keys - 1u), kv_head);
            k_low$u = keys[base + low$u];
            k_high$u = keys[base + high$u];
            v_low$u = values[base + low$u];
            v_high$u = values[base + high$u];
        }
//% end
//% for k in 2
        var score_$k = coop_mat16x16<f32, C>();
//% end
//% for e in EF
//% for k in 2
        score_$k = coopMultiplyAdd(
            q_$e,
            coopLoad<coop_mat16x16<f16, B>>(&k_tile[$ku * 16u * ROW + $eu * 4u], ROW),
            score_$k,
        );
//% end
//% end
//% for k in 2
        coopStoreT(score_$k, &scores[my_scores + $ku * 4u], SCORES);
//% end
        order();
        // A lane's sixteen scores.
        let my_first = first_s + side * 16u;
//% for c in 4
        let places$c = vec4<u32>(my_first + $cu * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        let score$c = select(
            vec4<f32>(-1.0e30),
            scores[row * SCORES + side * 4u + $cu] * scale,
            places$c < vec4<u32>(my_keys),
        );
//% end
        let peaks = max(max(score0, score1), max(score2, score3));
        let mine = max(max(peaks.x, peaks.y), max(peaks.z, peaks.w));
        let peak = max(mine, subgroupShuffleXor(mine, 1u));
        let moves = peak > top + SLACK;
        let before = top;
        top = select(top, peak, moves);
        let factor = exp2(before - top);
        var seen = vec4<f32>();
//% for c in 4
        let weight$c = vec4<f16>(select(vec4<f32>(), exp2(score$c - top), places$c < vec4<u32>(my_keys)));
        weights[row * WEIGHTS + side * 4u + $cu] = weight$c;
        seen += vec4<f32>(weight$c);
//% end
        total = total * factor + dot(seen, vec4<f32>(1.0));
        if any_moves(moves) {
//% for e in EF
            coopStoreT(sum_$e, &scores[my_scores], SCORES);
            order();
            scores[row * SCORES + side * 2u] *= factor;
            scores[row * SCORES + side * 2u + 1u] *= factor;
            order();
            sum_$e = coopLoadT<coop_mat16x16<f32, C>>(&scores[my_scores], SCORES);
            order();
//% end
        }
//% for k in 2
        let weight_$k = coopLoadT<coop_mat16x16<f16, A>>(&weights[my_weights + $ku * 4u], WEIGHTS);
//% for e in EF
        sum_$e = coopMultiplyAdd(
            weight_$k,
            coopLoadT<coop_mat16x16<f16, B>>(&v_tile[$ku * 16u * ROW + $eu * 4u], ROW),
            sum_$e,
        );
//% end
//% end
    }
    total += subgroupShuffleXor(total, 1u);
    let share = select(0.0, 1.0 / total, total > 0.0);
//% for e in EF
    order();
    coopStoreT(sum_$e, &scores[my_scores], SCORES);
    order();
    {
        let i = $eu * 4u + side * 2u;
        let at = (t * params.heads + head) * E4 + i;
        if first_t + row < params.t && i < E4 {
            y[at] = vec4<f16>(scores[row * SCORES + side * 2u] * share);
        }
        if first_t + row < params.t && i + 1u < E4 {
            y[at + 1u] = vec4<f16>(scores[row * SCORES + side * 2u + 1u] * share);
        }
    }
//% end
}
