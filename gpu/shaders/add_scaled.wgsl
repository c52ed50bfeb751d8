// y = a + scale · b.
//
//   a, b, y [4 n4] f32 (buffers are padded to whole vectors)
//
// grid   [min(ceil(n4 / WG), 65535), …, 1]: a lane a vector
// parts  fold
// cost   moves 12 bytes an element: memory-bound
override WG: u32 = 64u;
struct Params { n4: u32, scale: f32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n4 {
        y[i] = a[i] + params.scale * b[i];
    }
}
