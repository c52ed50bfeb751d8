// y[t] = x[t] + (mask[t] ≠ 0 ? rows[t] : 0).
//
//   x, rows, y [T, d] f32
//   mask       [T]    u32
//
// grid   [min(ceil(T d / WG), 65535), …, 1]: a lane a value
// parts  fold
// cost   moves 12 bytes an element: memory-bound
override WG: u32 = 64u;
struct Params { n: u32, d: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n {
        y[i] = x[i] + select(0.0, rows[i], mask[i / params.d] != 0u);
    }
}
