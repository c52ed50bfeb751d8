// y[t] = Σ_i mix[t, i] · table[index[t, i]], i < 4: interpolated position embeddings.
//
//   table [R, d] f32
//   index [T, 4] u32
//   mix   [T, 4] f32
//   y     [T, d] f32
//
// grid   [min(ceil(T d / WG), 65535), …, 1]: a lane a value
// parts  fold
// cost   reads four values of the table for one of y: memory-bound
override WG: u32 = 64u;
struct Params { n: u32, d: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> mix4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n {
        let t = i / params.d;
        let column = i % params.d;
        let at = index[t] * params.d + column;
        let values = vec4<f32>(table[at.x], table[at.y], table[at.z], table[at.w]);
        y[i] = dot(mix4[t], values);
    }
}
