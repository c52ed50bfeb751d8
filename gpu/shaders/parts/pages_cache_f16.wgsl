// Keys and values of a cache of f16, [n_blocks, block, K, E], found through a block table, as f16; causal. The kernel's
// `Params` has `s` (tokens that the table can name), `kv_heads` and `block`; E4 is E / 4.
// needs  f16
@group(1) @binding(0) var<storage, read> keys: array<vec4<f16>>;
@group(1) @binding(1) var<storage, read> values: array<vec4<f16>>;
@group(1) @binding(2) var<storage, read> table: array<u32>;
@group(1) @binding(3) var<storage, read> state: array<u32>; // kv_len, n_tokens, …
alias Raw = vec4<f16>;

// How many keys query row t sees: those up to itself, and for rows beyond n_tokens those of the last token.
fn visible(t: u32) -> u32 {
    return min(state[0] + min(t + 1u, state[1]), params.s);
}

// Where key s of a head starts, in vectors.
fn key_base(s: u32, head: u32) -> u32 {
    let row = table[s / params.block] * params.block + s % params.block;
    return (row * params.kv_heads + head) * E4;
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
