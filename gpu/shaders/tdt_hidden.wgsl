// y = max(enc[state.frame] + g, 0).
//
//   enc  [t, d] f32
//   g, y [d]    f32
//
// grid   [min(ceil(d / WG), 65535), …, 1]: a lane a value
// parts  fold
// cost   nothing: one row
override WG: u32 = 64u;
struct Params { t: u32, d: u32, pad0: u32, pad1: u32 }
struct State { frame: u32, end: u32, fed: u32, step: u32, run: u32, run_frame: u32, done: u32, last_id: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> enc: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> state: State;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.d {
        y[i] = max(enc[min(state.frame, params.t - 1u) * params.d + i] + g[i], 0.0);
    }
}
