// Where keys and values lie that are as they come, [S, K, E]; every query sees all. The kernel's `Params` has `s`, `kv_heads`; E4 is
// E / 4.

// How many keys query row t sees.
fn visible(t: u32) -> u32 {
    return params.s;
}

// Where key s of a head starts, in vectors.
fn key_base(s: u32, head: u32) -> u32 {
    return (s * params.kv_heads + head) * E4;
}
