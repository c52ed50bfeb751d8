// Packs raw checkpoint values into a weight format, to the bit as weights/quant.rs says.
//
//   src    [n_rows, k] in the type of part `raw`
//   packed [n_rows, k padded to 32], scales one in 32: as part `pack` says
//
// grid   [min(ceil(groups / 2 / WG), 65535), …, 1]: a lane two groups of 32 values, whose scales share a word
// parts  raw (f32 | f16 | bf16), pack (f32 | f16 | q8 | q4), f16, nearest, fold
// cost   reads src once, writes the packed rows once: memory-bound
override WG: u32 = 64u;
struct Params { n_groups: u32, groups_a_row: u32, k: u32, pad: u32 }
@group(0) @binding(0) var<uniform> params: Params;
// Binding 1 is declared by part `raw`, group 1 by part `pack`.
var<private> values: array<f32, 32>;

// Packs one group and gives its scale's bits; 0 beyond the last.
fn one(group: u32) -> u32 {
    if group >= params.n_groups {
        return 0u;
    }
    let row = group / params.groups_a_row;
    let first = group % params.groups_a_row * 32u;
    for (var i = 0u; i < 32u; i++) {
        let inside = first + i < params.k;
        values[i] = select(0.0, raw(select(0u, row * params.k + first + i, inside)), inside);
    }
    return store_group(group);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pair = workgroup_index(group) * WG + lane;
    if pair < (params.n_groups + 1u) / 2u {
        let low = one(2u * pair);
        let high = one(2u * pair + 1u);
        store_scales(pair, low | (high << 16u));
    }
}
