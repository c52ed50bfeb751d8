// Packs 32 `values` as four bits, eight in a word, and their scale. Needs parts `f16` and `nearest`.
@group(1) @binding(0) var<storage, read_write> packed: array<u32>;
@group(1) @binding(1) var<storage, read_write> scales: array<u32>;

// The scale's bits.
fn store_group(group: u32) -> u32 {
    var top = 0.0; // the first value of the largest magnitude
    for (var i = 0u; i < 32u; i++) {
        top = select(top, values[i], abs(values[i]) > abs(top));
    }
    var bits = f16_bits(top * -0.125);
    bits = select(bits, 0u, bits == 0x8000u);
    let scale = f16_value(bits);
    for (var word = 0u; word < 4u; word++) {
        var codes = 0u;
        for (var i = 0u; i < 8u; i++) {
            let v = values[word * 8u + i];
            let n = i32(nearest_multiple(v, abs(scale)));
            let signed = clamp(select(n, -n, (v < 0.0) != (scale < 0.0)), -8, 7);
            let code = select(u32(signed + 8), 8u, bits == 0u);
            codes |= code << (i * 4u);
        }
        packed[group * 4u + word] = codes;
    }
    return bits;
}

fn store_scales(pair: u32, words: u32) {
    scales[pair] = words;
}
