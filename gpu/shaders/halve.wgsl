// y = x in f16; what f16 cannot hold becomes its largest number.
//
//   x [4 n4] f32 (buffers are padded to whole vectors)
//   y [4 n4] f16
//
// grid   [min(ceil(n4 / WG), 65535), …, 1]: a lane a vector
// needs  f16
// parts  fold
// cost   moves 6 bytes a value: memory-bound
override WG: u32 = 64u;
struct Params { n4: u32, pad0: u32, pad1: u32, pad2: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f16>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n4 {
        y[i] = vec4<f16>(clamp(x[i], vec4<f32>(-65504.0), vec4<f32>(65504.0)));
    }
}
