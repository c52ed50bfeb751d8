// A 3×3 convolution of stride 2 and padding 1, each channel by itself; channels lie innermost.
//
//   x       [t, f, c] f32, or [t, f, 1] (channel_step 0)
//   lengths [4] u32: rows from lengths[level] on count as 0
//   weight  [9, c], bias [c] f32
//   y       [ceil(t / 2), ceil(f / 2), c] f32
//
// grid   [min(ceil(n / WG), 65535), …, 1]: a lane an output, neighbours are channels
// parts  fold
// cost   reads x about 9/4 times (from caches), writes y once: memory-bound
override WG: u32 = 64u;
struct Params { t: u32, f: u32, c: u32, channel_step: u32, level: u32, relu: u32, n: u32, f_out: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = workgroup_index(group) * WG + lane;
    if at >= params.n {
        return;
    }
    let c = at % params.c;
    let place = at / params.c;
    let f = place % params.f_out;
    let t = place / params.f_out;
    let rows = min(params.t, lengths[params.level]);
    let channels = select(1u, params.c, params.channel_step != 0u);
    var sum = bias[c];
    for (var i = 0u; i < 3u; i++) {
        for (var j = 0u; j < 3u; j++) {
            // One too high, so that nothing is below 0.
            let row = 2u * t + i;
            let column = 2u * f + j;
            if row >= 1u && row <= rows && column >= 1u && column <= params.f {
                let v = x[((row - 1u) * params.f + column - 1u) * channels + c * params.channel_step];
                sum += weight[(3u * i + j) * params.c + c] * select(v, max(v, 0.0), params.relu != 0u);
            }
        }
    }
    y[at] = sum;
}
