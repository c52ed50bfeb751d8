// Weights as four bits, eight in a word, value = (q - 8) scale; 32 values share an f16 scale.
@group(1) @binding(0) var<storage, read> packed: array<u32>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;

// Values 4j .. 4j + 4, counted over the whole part.
fn weight4(j: u32) -> vec4<f32> {
    let word = packed[j / 2u] >> ((j & 1u) * 16u);
    let q = vec4<u32>(word, word >> 4u, word >> 8u, word >> 12u) & vec4<u32>(15u);
    let group = j / 8u;
    let pair = unpack2x16float(scales[group / 2u]);
    return (vec4<f32>(q) - 8.0) * select(pair.x, pair.y, (group & 1u) == 1u);
}
