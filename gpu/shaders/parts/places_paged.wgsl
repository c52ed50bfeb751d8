// Where keys and values lie in a cache behind a block table, [n_blocks, block, K, E]; causal. The kernel's `Params` has `s` (tokens
// that the table can name), `kv_heads` and `block`; E4 is E / 4.
@group(1) @binding(2) var<storage, read> table: array<u32>;
@group(1) @binding(3) var<storage, read> state: array<u32>; // kv_len, n_tokens, …

// How many keys query row t sees: those up to itself, and for rows beyond n_tokens those of the last token.
fn visible(t: u32) -> u32 {
    return min(state[0] + min(t + 1u, state[1]), params.s);
}

// Where key s of a head starts, in vectors.
fn key_base(s: u32, head: u32) -> u32 {
    let row = table[s / params.block] * params.block + s % params.block;
    return (row * params.kv_heads + head) * E4;
}
