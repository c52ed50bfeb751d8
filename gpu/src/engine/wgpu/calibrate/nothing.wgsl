// A launch with next to no work.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
    if lane == 0u {
        y[0].x += 1.0;
    }
}
