// Packs 32 `values` as f16, two in a word. Needs part `f16`.
@group(1) @binding(0) var<storage, read_write> packed: array<u32>;

fn store_group(group: u32) -> u32 {
    for (var i = 0u; i < 16u; i++) {
        packed[group * 16u + i] = f16_pack(values[2u * i], values[2u * i + 1u]);
    }
    return 0u;
}

fn store_scales(pair: u32, words: u32) {}
