// Keys and values as they are, [S, K, E] f16; every query sees all. The kernel's `Params` has `s`, `kv_heads`; E4 is
// E / 4.
// needs  f16
@group(1) @binding(0) var<storage, read> keys: array<vec4<f16>>;
@group(1) @binding(1) var<storage, read> values: array<vec4<f16>>;
alias Raw = vec4<f16>;

// How many keys query row t sees.
fn visible(t: u32) -> u32 {
    return params.s;
}

// Where key s of a head starts, in vectors.
fn key_base(s: u32, head: u32) -> u32 {
    return (s * params.kv_heads + head) * E4;
}

fn key_raw(i: u32) -> Raw {
    return keys[i];
}

fn value_raw(i: u32) -> Raw {
    return values[i];
}

fn half_of(raw: Raw) -> vec4<f16> {
    return raw;
}
