// A KV cache of f16, two in a word, written. Needs part `f16`.
@group(1) @binding(0) var<storage, read_write> k_cache: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read_write> v_cache: array<vec2<u32>>;

fn store4(i: u32, k: vec4<f32>, v: vec4<f32>) {
    k_cache[i] = vec2<u32>(f16_pack(k.x, k.y), f16_pack(k.z, k.w));
    v_cache[i] = vec2<u32>(f16_pack(v.x, v.y), f16_pack(v.z, v.w));
}
