// Weights as f16, two in a word.
@group(1) @binding(0) var<storage, read> packed: array<vec2<u32>>;

// Values 4j .. 4j + 4, counted over the whole part.
fn weight4(j: u32) -> vec4<f32> {
    let words = packed[j];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
