// A KV cache of f32, [n_blocks, block, K, E], eight values in two vectors.
@group(1) @binding(0) var<storage, read_write> k_cache: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read_write> v_cache: array<vec4<f32>>;

struct Eight { low: vec4<f32>, high: vec4<f32> }

fn key8(i: u32) -> Eight {
    return Eight(k_cache[2u * i], k_cache[2u * i + 1u]);
}

fn value8(i: u32) -> Eight {
    return Eight(v_cache[2u * i], v_cache[2u * i + 1u]);
}

fn store8(i: u32, k: Eight, v: Eight) {
    k_cache[2u * i] = k.low;
    k_cache[2u * i + 1u] = k.high;
    v_cache[2u * i] = v.low;
    v_cache[2u * i + 1u] = v.high;
}
