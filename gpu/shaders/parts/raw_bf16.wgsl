// Raw values of bf16, two in a word.
@group(0) @binding(1) var<storage, read> src: array<u32>;

fn raw(i: u32) -> f32 {
    let bits = (src[i / 2u] >> ((i & 1u) * 16u)) & 0xffffu;
    return bitcast<f32>(bits << 16u);
}
