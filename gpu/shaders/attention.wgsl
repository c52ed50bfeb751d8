// y = softmax(q kᵀ · scale) v, a head at a time, without the scores in memory (online softmax over tiles of keys).
//
//   q, y [T, H, E]  f32, E % 4 == 0, E <= 128
//   k, v            as part `keys` has them: [S, K, E], or a cache behind a block table (causal)
//
// grid   [ceil(T / 32), H, 1]: a workgroup 32 queries of a head; 64 lanes, a lane 2 queries × 4 keys of the scores and
//        4 queries × every eighth vector of y
// parts  keys (dense | cache_f32 | cache_f16)
// cost   4 T S E H operations; keys and values are read ceil(T / 32) times a head
//
// Few and short loops: Mesa's llvmpipe ends an invocation's loops after 65,535 rounds in all, without a word. This is
// right there up to 10,000 keys.
// Source: Dao, "FlashAttention-2", arXiv:2307.08691.
override E4: u32 = 16u; // E / 4, at most 32
const QUERIES: u32 = 32u;
const KEYS: u32 = 16u;
const KEYS4: u32 = 4u;
override TILE: u32 = KEYS * E4;
struct Params { t: u32, s: u32, heads: u32, kv_heads: u32, scale: f32, block: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
// Group 1 is declared by part `keys`.
var<workgroup> tile: array<vec4<f32>, TILE>;   // keys, then values, of the current tile
var<workgroup> scores: array<vec4<f32>, 128>; // [QUERIES, KEYS / 4], then their exponentials
var<workgroup> shrink: array<f32, QUERIES>;    // what the sums so far are multiplied by
var<workgroup> total: array<f32, QUERIES>;     // the softmax's denominator, at the end

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let head = group.y;
    let kv_head = head / (params.heads / params.kv_heads);
    let first_t = group.x * QUERIES;
    let last_t = min(first_t + QUERIES, params.t) - 1u;
    let n_keys = visible(last_t);
    // Sums of four queries × four vectors: named, since drivers keep an array that a loop indexes in memory.
//% for r in 4
//% for c in 4
    var sum_$r_$c = vec4<f32>();
//% end
//% end
    var top = -3.0e38; // largest score and sum of lanes 0 .. QUERIES, one query each
    var sum = 0.0;
    let my_keys = visible(min(first_t + min(lane, QUERIES - 1u), last_t));

    // For the scores: a pair of queries and the first of four keys.
    let pair = lane / 4u * 2u;
    let first_key = lane % 4u * 4u;
    let query_a = (min(first_t + pair, last_t) * params.heads + head) * E4;
    let query_b = (min(first_t + pair + 1u, last_t) * params.heads + head) * E4;

    for (var first_s = 0u; first_s < n_keys; first_s += KEYS) {
        for (var j = lane; j < KEYS * E4; j += 64u) {
            let s = min(first_s + j / E4, n_keys - 1u);
            tile[j] = key4(key_base(s, kv_head) + j % E4);
        }
        workgroupBarrier();
        // A column a key: a vector of a query times this is four dot products.
        var a = vec4<f32>();
        var b = vec4<f32>();
        for (var i = 0u; i < E4; i++) {
            let at = first_key * E4 + i;
            let keys = mat4x4<f32>(tile[at], tile[at + E4], tile[at + 2u * E4], tile[at + 3u * E4]);
            a += q[query_a + i] * keys;
            b += q[query_b + i] * keys;
        }
        scores[pair * KEYS4 + first_key / 4u] = a * params.scale;
        scores[(pair + 1u) * KEYS4 + first_key / 4u] = b * params.scale;
        workgroupBarrier();
        for (var j = lane; j < KEYS * E4; j += 64u) {
            let s = min(first_s + j / E4, n_keys - 1u);
            tile[j] = value4(key_base(s, kv_head) + j % E4);
        }
        if lane < QUERIES {
            var peaks = vec4<f32>(top);
            for (var i = 0u; i < KEYS4; i++) {
                let inside = first_s + 4u * i + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(my_keys);
                peaks = max(peaks, select(vec4<f32>(-3.0e38), scores[lane * KEYS4 + i], inside));
            }
            let peak = max(max(peaks.x, peaks.y), max(peaks.z, peaks.w));
            let factor = exp(top - peak);
            sum *= factor;
            for (var i = 0u; i < KEYS4; i++) {
                let inside = first_s + 4u * i + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(my_keys);
                let weights = select(vec4<f32>(), exp(scores[lane * KEYS4 + i] - peak), inside);
                scores[lane * KEYS4 + i] = weights;
                sum += dot(weights, vec4<f32>(1.0));
            }
            shrink[lane] = factor;
            total[lane] = sum;
            top = peak;
        }
        workgroupBarrier();
        let row = local.y * 4u;
//% for r in 4
        let shrink$r = shrink[row + $ru];
//% for c in 4
        sum_$r_$c *= shrink$r;
//% end
//% end
        for (var i = 0u; i < KEYS4; i++) {
//% for r in 4
            let weights$r = scores[(row + $ru) * KEYS4 + i];
//% end
//% for c in 4
            if $cu * 8u < E4 {
                let at = 4u * i * E4 + min(local.x + $cu * 8u, E4 - 1u);
                let values = mat4x4<f32>(tile[at], tile[at + E4], tile[at + 2u * E4], tile[at + 3u * E4]);
//% for r in 4
                sum_$r_$c += values * weights$r;
//% end
            }
//% end
        }
        workgroupBarrier();
    }

//% for r in 4
    {
        let row = local.y * 4u + $ru;
        let t = first_t + row;
        let denominator = select(1.0, total[row], n_keys > 0u);
//% for c in 4
        if t < params.t && local.x + $cu * 8u < E4 {
            y[(t * params.heads + head) * E4 + local.x + $cu * 8u] = sum_$r_$c / denominator;
        }
//% end
    }
//% end
}
