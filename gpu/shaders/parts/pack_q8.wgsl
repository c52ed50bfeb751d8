// Packs 32 `values` as i8, four in a word, and their scale. Needs parts `f16` and `nearest`.
@group(1) @binding(0) var<storage, read_write> packed: array<u32>;
@group(1) @binding(1) var<storage, read_write> scales: array<u32>;

// The scale's bits.
fn store_group(group: u32) -> u32 {
    var top = 0.0;
    for (var i = 0u; i < 32u; i++) {
        top = max(top, abs(values[i]));
    }
    let bits = f16_bits(top * bitcast<f32>(0x3c010204u)); // the f32 next to 1/127
    let scale = f16_value(bits);
    for (var word = 0u; word < 8u; word++) {
        var codes = 0u;
        for (var i = 0u; i < 4u; i++) {
            let v = values[word * 4u + i];
            let n = i32(min(nearest_multiple(v, scale), 127.0));
            let code = select(select(n, -n, v < 0.0), 0, bits == 0u);
            codes |= (bitcast<u32>(code) & 0xffu) << (i * 8u);
        }
        packed[group * 8u + word] = codes;
    }
    return bits;
}

fn store_scales(pair: u32, words: u32) {
    scales[pair] = words;
}
