// Weights as f32.
@group(1) @binding(0) var<storage, read> packed: array<vec4<f32>>;

// Values 4j .. 4j + 4, counted over the whole part.
fn weight4(j: u32) -> vec4<f32> {
    return packed[j];
}
