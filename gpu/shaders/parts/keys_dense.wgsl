// Keys and values as they are, [S, K, E]; every query sees all. The kernel's `Params` has `s`, `kv_heads`; E4 is E / 4.
@group(1) @binding(0) var<storage, read> keys: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read> values: array<vec4<f32>>;

// How many keys query row t sees.
fn visible(t: u32) -> u32 {
    return params.s;
}

// Where key s of a head starts, in vectors.
fn key_base(s: u32, head: u32) -> u32 {
    return (s * params.kv_heads + head) * E4;
}

fn key4(i: u32) -> vec4<f32> {
    return keys[i];
}

fn value4(i: u32) -> vec4<f32> {
    return values[i];
}
