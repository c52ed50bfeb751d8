// y = softmax(q kᵀ · scale) v for adapters that draw on the CPU: a lane keeps a few queries and their sums in registers
// and walks the keys; no workgroup memory and no barrier, which cost there more than they save.
//
//   q, y [T, H, E]  f32, E % 4 == 0, E <= 80
//   k, v            as part `keys` has them: [S, K, E], or a cache behind a block table (causal)
//
// grid   [ceil(T / (8 ROWS)), H, 1]: a workgroup 8 lanes of ROWS queries of a head each
// parts  keys (dense | cache_f32 | cache_f16), rows (two | four)
// cost   4 T S E H operations; keys and values are read ceil(T / (8 ROWS)) times a head
// Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867.
override E4: u32 = 16u; // E / 4
struct Params { t: u32, s: u32, heads: u32, kv_heads: u32, scale: f32, block: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
// Group 1 is declared by part `keys`; ROWS and CHUNKS, vectors that a lane keeps of each query, by part `rows`.

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.y;
    let kv_head = head / (params.heads / params.kv_heads);
    let first_t = (group.x * 8u + lane) * ROWS;
    // These arrays become registers: all their indices are constants once the short loops are unrolled.
    var query: array<vec4<f32>, ROWS * CHUNKS>;
    var acc: array<vec4<f32>, ROWS * CHUNKS>;
    var top: array<f32, ROWS>;
    var sum: array<f32, ROWS>;
    var n_keys: array<u32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        let t = min(first_t + r, params.t - 1u);
        n_keys[r] = visible(t);
        top[r] = -3.0e38;
        for (var i = 0u; i < E4; i++) {
            query[r * CHUNKS + i] = q[(t * params.heads + head) * E4 + i] * params.scale;
        }
    }
    // Rows see more keys the later they are.
    for (var s = 0u; s < n_keys[ROWS - 1u]; s++) {
        let base = key_base(s, kv_head);
        var weight: array<f32, ROWS>;
        for (var i = 0u; i < E4; i++) {
            let key = key4(base + i);
            for (var r = 0u; r < ROWS; r++) {
                weight[r] += dot(query[r * CHUNKS + i], key);
            }
        }
        for (var r = 0u; r < ROWS; r++) {
            let inside = s < n_keys[r];
            let peak = select(top[r], max(top[r], weight[r]), inside);
            let factor = exp(top[r] - peak);
            weight[r] = select(0.0, exp(weight[r] - peak), inside);
            sum[r] = sum[r] * factor + weight[r];
            top[r] = peak;
            if factor != 1.0 {
                for (var i = 0u; i < E4; i++) {
                    acc[r * CHUNKS + i] *= factor;
                }
            }
        }
        for (var i = 0u; i < E4; i++) {
            let value = value4(base + i);
            for (var r = 0u; r < ROWS; r++) {
                acc[r * CHUNKS + i] += weight[r] * value;
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        if first_t + r < params.t {
            let base = ((first_t + r) * params.heads + head) * E4;
            let denominator = select(1.0, sum[r], sum[r] > 0.0);
            for (var i = 0u; i < E4; i++) {
                y[base + i] = acc[r * CHUNKS + i] / denominator;
            }
        }
    }
}
