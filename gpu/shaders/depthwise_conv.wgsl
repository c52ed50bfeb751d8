// y[t, i] = bias[i] + Σ_j weight[j, i] · x[t + j - k / 2, i]: along time, each channel by itself.
//
//   x, y    [t, d] f32
//   lengths [4] u32: rows from lengths[level] on count as 0
//   weight  [k, d], bias [d] f32, k odd
//
// grid   [min(ceil(t d / WG), 65535), …, 1]: a lane an output, neighbours are channels
// parts  fold
// cost   reads x k times (from caches), writes y once: memory-bound
override WG: u32 = 64u;
struct Params { t: u32, d: u32, k: u32, level: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = workgroup_index(group) * WG + lane;
    if at >= params.t * params.d {
        return;
    }
    let i = at % params.d;
    let t = at / params.d;
    let rows = min(params.t, lengths[params.level]);
    let half = params.k / 2u;
    var sum = bias[i];
    for (var j = 0u; j < params.k; j++) {
        let row = t + j;
        if row >= half && row < rows + half {
            sum += weight[j * params.d + i] * x[(row - half) * params.d + i];
        }
    }
    y[at] = sum;
}
