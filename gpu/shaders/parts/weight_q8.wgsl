// Weights as i8, four in a word; 32 values share an f16 scale.
@group(1) @binding(0) var<storage, read> packed: array<u32>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;

// Values 4j .. 4j + 4, counted over the whole part.
fn weight4(j: u32) -> vec4<f32> {
    let q = unpack4xI8(packed[j]);
    let group = j / 8u;
    let pair = unpack2x16float(scales[group / 2u]);
    return vec4<f32>(q) * select(pair.x, pair.y, (group & 1u) == 1u);
}
