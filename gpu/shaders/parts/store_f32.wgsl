// A KV cache of f32, written.
@group(1) @binding(0) var<storage, read_write> k_cache: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read_write> v_cache: array<vec4<f32>>;

fn store4(i: u32, k: vec4<f32>, v: vec4<f32>) {
    k_cache[i] = k;
    v_cache[i] = v;
}
