// y = silu(x), or max(x, 0).
//
//   x, y [4 n4] f32 (buffers are padded to whole vectors)
//
// grid   [min(ceil(n4 / WG), 65535), …, 1]: a lane a vector
// parts  fold
// cost   moves 8 bytes an element: memory-bound
override WG: u32 = 64u;
struct Params { n4: u32, relu: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n4 {
        let v = x[i];
        // exp is kept finite: beyond it the result is 0 to f32 anyway.
        let silu = v / (1.0 + exp(clamp(-v, vec4<f32>(-80.0), vec4<f32>(80.0))));
        y[i] = select(silu, max(v, vec4<f32>()), params.relu != 0u);
    }
}
