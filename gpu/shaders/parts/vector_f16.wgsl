// Vectors of f16.
// needs  f16
@group(0) @binding(1) var<storage, read> x: array<vec4<f16>>;

fn x4(i: u32) -> vec4<f32> {
    return vec4<f32>(x[i]);
}
