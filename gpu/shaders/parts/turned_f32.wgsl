// Rotated heads in f32.
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn put(i: u32, v: f32) {
    y[i] = v;
}
