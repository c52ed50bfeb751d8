// A KV cache of f16, [n_blocks, block, K, E], eight values in a vector of four words.
// parts  f16
@group(1) @binding(0) var<storage, read_write> k_cache: array<vec4<u32>>;
@group(1) @binding(1) var<storage, read_write> v_cache: array<vec4<u32>>;

struct Eight { low: vec4<f32>, high: vec4<f32> }

fn eight_of(words: vec4<u32>) -> Eight {
    let low = vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
    return Eight(low, vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w)));
}

fn key8(i: u32) -> Eight {
    return eight_of(k_cache[i]);
}

fn value8(i: u32) -> Eight {
    return eight_of(v_cache[i]);
}

fn words_of(e: Eight) -> vec4<u32> {
    let low = vec2<u32>(f16_pack(e.low.x, e.low.y), f16_pack(e.low.z, e.low.w));
    return vec4<u32>(low, f16_pack(e.high.x, e.high.y), f16_pack(e.high.z, e.high.w));
}

fn store8(i: u32, k: Eight, v: Eight) {
    k_cache[i] = words_of(k);
    v_cache[i] = words_of(v);
}
