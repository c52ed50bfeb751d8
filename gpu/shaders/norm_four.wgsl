// y = x / √(mean(x²) + eps) · weight, or with LAYER y = (x - mean) / √(var + eps) · weight + bias, over rows of whole vectors.
//
//   x            [n_rows, 4 d4] f32
//   weight, bias [4 d4]         f32
//   y            [n_rows, 4 d4] as part `result` says
//
// grid   [min(n_rows, 65535), ceil(n_rows / 65535), 1]: a workgroup a row
// parts  result (f32 | f16), reduce, fold
// cost   reads x up to three times, the last times from a cache, writes it once: memory-bound
override WG: u32 = 64u; // a power of two
override LAYER: u32 = 0u;
struct Params { n_rows: u32, d4: u32, eps: f32, pad: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>; // the weight again where there is none
// Binding 4 is declared by part `result`.
var<workgroup> scratch: array<f32, WG>; // for part `reduce`

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup_index(group);
    let d4 = select(0u, params.d4, row < params.n_rows);
    let base = row * d4;
    let n = f32(4u * params.d4);
    var mean = 0.0;
    if LAYER == 1u {
        var sum = vec4<f32>();
        for (var i = lane; i < d4; i += WG) {
            sum += x[base + i];
        }
        mean = reduce_sum(lane, dot(sum, vec4<f32>(1.0))) / n;
    }
    var squares = vec4<f32>();
    for (var i = lane; i < d4; i += WG) {
        let v = x[base + i] - mean;
        squares += v * v;
    }
    let scale = 1.0 / sqrt(reduce_sum(lane, dot(squares, vec4<f32>(1.0))) / n + params.eps);
    for (var i = lane; i < d4; i += WG) {
        var v = (x[base + i] - mean) * scale * weight[i];
        if LAYER == 1u {
            v += bias[i];
        }
        put4(base + i, v);
    }
}
