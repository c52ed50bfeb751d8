// Packs 32 `values` as f32.
@group(1) @binding(0) var<storage, read_write> packed: array<u32>;

fn store_group(group: u32) -> u32 {
    for (var i = 0u; i < 32u; i++) {
        packed[group * 32u + i] = bitcast<u32>(values[i]);
    }
    return 0u;
}

fn store_scales(pair: u32, words: u32) {}
