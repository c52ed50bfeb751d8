// Attention of one new token over the cache: a workgroup a head, keys in tiles of WG, online softmax.
//
//   q, y [1, H, E]  f32, E % 4 == 0, E <= 4 WG
//   k, v            as part `keys` has them
//
// grid   [H, 1, 1]
// parts  keys (dense | cache_f32 | cache_f16), reduce
// cost   reads the keys and values of a kv head once for each of its query heads: memory-bound
override E4: u32 = 16u; // E / 4
override WG: u32 = 64u; // a power of two, at least E / 4
struct Params { t: u32, s: u32, heads: u32, kv_heads: u32, scale: f32, block: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
// Group 1 is declared by part `keys`.
var<workgroup> scratch: array<f32, WG>; // for part `reduce`
var<workgroup> weights: array<f32, WG>;
var<workgroup> partial: array<vec4<f32>, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x;
    let kv_head = head / (params.heads / params.kv_heads);
    let n_keys = visible(0u);
    // For y the lanes are split into runs of E4: a run takes every `runs`-th key of a tile.
    let runs = WG / E4;
    let run = lane / E4;
    let column = lane % E4;
    var top = -3.0e38;
    var sum = 0.0;
    var acc = vec4<f32>();
    for (var first_s = 0u; first_s < n_keys; first_s += WG) {
        let s = first_s + lane;
        let inside = s < n_keys;
        let base = key_base(min(s, n_keys - 1u), kv_head);
        var score = 0.0;
        for (var i = 0u; i < E4; i++) {
            score += dot(q[head * E4 + i], key4(base + i));
        }
        score = select(-3.0e38, score * params.scale, inside);
        let peak = max(top, reduce_max(lane, score));
        let weight = select(0.0, exp(score - peak), inside);
        weights[lane] = weight;
        let factor = exp(top - peak);
        sum = sum * factor + reduce_sum(lane, weight);
        acc *= factor;
        top = peak;
        if run < runs {
            for (var j = run; j < min(WG, n_keys - first_s); j += runs) {
                acc += weights[j] * value4(key_base(first_s + j, kv_head) + column);
            }
        }
        workgroupBarrier();
    }
    partial[lane] = acc;
    workgroupBarrier();
    if run == 0u {
        for (var r = 1u; r < runs; r++) {
            acc += partial[r * E4 + lane];
        }
        y[head * E4 + lane] = acc / select(1.0, sum, n_keys > 0u);
    }
}
