// y[t, i] = x[t, i] · σ(x[t, d + i]).
//
//   x [t, 2 d] f32
//   y [t, d]   f32
//
// grid   [min(ceil(t d / WG), 65535), …, 1]: a lane a value
// parts  fold
// cost   moves 12 bytes an output: memory-bound
override WG: u32 = 64u;
struct Params { n: u32, d: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n {
        let at = i / params.d * params.d + i;
        y[i] = x[at] / (1.0 + exp(clamp(-x[at + params.d], -80.0, 80.0)));
    }
}
