// How decoding cuts keys into splits: never fewer than 64 keys in one, whole multiples of 32.
fn split_keys(n_keys: u32, n_splits: u32) -> u32 {
    let even = (n_keys + n_splits - 1u) / n_splits;
    return max(64u, (even + 31u) / 32u * 32u);
}
