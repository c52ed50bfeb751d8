// y = x[max(state.n_tokens, 1) - 1]: the row of the last token that was fed.
//
//   x     [T, d] f32
//   state        u32 words; n_tokens is word 1
//   y     [1, d] f32
//
// grid   [min(ceil(d / WG), 65535), …, 1]: a lane a value
// parts  fold
// cost   moves 8 bytes an element
override WG: u32 = 64u;
struct Params { t: u32, d: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.d {
        let row = clamp(state[1], 1u, params.t) - 1u;
        y[i] = x[row * params.d + i];
    }
}
