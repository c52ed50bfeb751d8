// y = gelu(x), tanh or erf form.
//
//   x, y [4 n4] f32 (buffers are padded to whole vectors)
//
// grid   [min(ceil(n4 / WG), 65535), …, 1]: a lane a vector
// parts  gelu, fold
// cost   moves 8 bytes an element: memory-bound
override WG: u32 = 64u;
struct Params { n4: u32, form: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n4 {
        let v = x[i];
        y[i] = vec4<f32>(
            gelu(v.x, params.form),
            gelu(v.y, params.form),
            gelu(v.z, params.form),
            gelu(v.w, params.form),
        );
    }
}
