// y = softmax(q kᵀ · scale) v, a head at a time, without the scores in memory (online softmax over tiles of keys).
//
//   q, y [T, H, E]  f32, E % 4 == 0, E <= 128
//   k, v            as part `keys` has them: [S, K, E], or a cache behind a block table (causal)
//
// grid   [ceil(T / 32), H, 1]: a workgroup 32 queries of a head; 8 × 8 lanes, a lane 4 queries × 2 keys of the
//        scores and 4 queries × every eighth vector of y
// parts  keys (dense | cache_f32 | cache_f16)
// cost   4 T S E H operations; keys and values are read ceil(T / 32) times a head
// Source: Dao, "FlashAttention-2", arXiv:2307.08691.
override E4: u32 = 16u; // E / 4, at most 32
const QUERIES: u32 = 32u;
const KEYS: u32 = 16u;
override TILE: u32 = KEYS * E4;
struct Params { t: u32, s: u32, heads: u32, kv_heads: u32, scale: f32, block: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
// Group 1 is declared by part `keys`.
var<workgroup> tile: array<vec4<f32>, TILE>;   // keys, then values, of the current tile
var<workgroup> scores: array<f32, 512>;        // [QUERIES, KEYS], then their exponentials
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
    var acc: array<vec4<f32>, 16>; // [4 queries, 4 vectors]
    var top = -3.0e38;             // largest score and sum of lanes 0 .. QUERIES, one query each
    var sum = 0.0;
    let my_keys = visible(min(first_t + min(lane, QUERIES - 1u), last_t));

    for (var first_s = 0u; first_s < n_keys; first_s += KEYS) {
        for (var j = lane; j < KEYS * E4; j += 64u) {
            let s = min(first_s + j / E4, n_keys - 1u);
            tile[j] = key4(key_base(s, kv_head) + j % E4);
        }
        workgroupBarrier();
        for (var r = 0u; r < 4u; r++) {
            let t = min(first_t + local.y * 4u + r, last_t);
            let base = (t * params.heads + head) * E4;
            var a = 0.0;
            var b = 0.0;
            for (var i = 0u; i < E4; i++) {
                let query = q[base + i];
                a += dot(query, tile[local.x * 2u * E4 + i]);
                b += dot(query, tile[(local.x * 2u + 1u) * E4 + i]);
            }
            let to = (local.y * 4u + r) * KEYS + local.x * 2u;
            scores[to] = a * params.scale;
            scores[to + 1u] = b * params.scale;
        }
        workgroupBarrier();
        for (var j = lane; j < KEYS * E4; j += 64u) {
            let s = min(first_s + j / E4, n_keys - 1u);
            tile[j] = value4(key_base(s, kv_head) + j % E4);
        }
        if lane < QUERIES {
            var peak = top;
            for (var s = 0u; s < KEYS; s++) {
                peak = max(peak, select(-3.0e38, scores[lane * KEYS + s], first_s + s < my_keys));
            }
            let factor = exp(top - peak);
            sum *= factor;
            for (var s = 0u; s < KEYS; s++) {
                let weight = select(0.0, exp(scores[lane * KEYS + s] - peak), first_s + s < my_keys);
                scores[lane * KEYS + s] = weight;
                sum += weight;
            }
            shrink[lane] = factor;
            total[lane] = sum;
            top = peak;
        }
        workgroupBarrier();
        for (var r = 0u; r < 4u; r++) {
            let row = local.y * 4u + r;
            let factor = shrink[row];
            for (var c = 0u; c < 4u; c++) {
                acc[r * 4u + c] *= factor;
            }
            for (var s = 0u; s < KEYS; s++) {
                let weight = scores[row * KEYS + s];
                for (var c = 0u; c * 8u < E4; c++) {
                    let i = min(local.x + c * 8u, E4 - 1u);
                    acc[r * 4u + c] += weight * tile[s * E4 + i];
                }
            }
        }
        workgroupBarrier();
    }

    for (var r = 0u; r < 4u; r++) {
        let row = local.y * 4u + r;
        let t = first_t + row;
        let denominator = select(1.0, total[row], n_keys > 0u);
        for (var c = 0u; c * 8u < E4; c++) {
            let i = local.x + c * 8u;
            if t < params.t && i < E4 {
                y[(t * params.heads + head) * E4 + i] = acc[r * 4u + c] / denominator;
            }
        }
    }
}
