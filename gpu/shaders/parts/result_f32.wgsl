// The result in f32.
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn put4(i: u32, v: vec4<f32>) {
    y[i] = v;
}
