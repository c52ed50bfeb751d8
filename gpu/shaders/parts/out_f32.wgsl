// The result as it is.
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [H, E]

fn put(lane: u32, i: u32, value: f32) {
    if i < params.n {
        y[i] = value;
    }
}
