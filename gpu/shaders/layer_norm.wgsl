// y = (x - mean) / √(var + eps) · weight + bias over rows; the variance is of the differences (two passes).
//
//   x, y         [n_rows, d] f32
//   weight, bias [d]         f32
//
// grid   [min(n_rows, 65535), ceil(n_rows / 65535), 1]: a workgroup a row
// parts  reduce, fold
// cost   reads x three times, writes it once: memory-bound
override WG: u32 = 64u; // a power of two
struct Params { n_rows: u32, d: u32, eps: f32, pad: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
var<workgroup> scratch: array<f32, WG>; // for part `reduce`

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup_index(group);
    let inside = row < params.n_rows;
    let d = select(0u, params.d, inside);
    let base = row * d;
    var sum = 0.0;
    for (var i = lane; i < d; i += WG) {
        sum += x[base + i];
    }
    let mean = reduce_sum(lane, sum) / f32(params.d);
    var squares = 0.0;
    for (var i = lane; i < d; i += WG) {
        let v = x[base + i] - mean;
        squares += v * v;
    }
    let variance = reduce_sum(lane, squares) / f32(params.d);
    let scale = 1.0 / sqrt(variance + params.eps);
    for (var i = lane; i < d; i += WG) {
        y[base + i] = (x[base + i] - mean) * scale * weight[i] + bias[i];
    }
}
