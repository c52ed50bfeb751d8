// Rows come from one of three weights, which the kernel chooses with `source`.
@group(1) @binding(0) var<storage, read> packed: array<vec4<u32>>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;
@group(1) @binding(2) var<storage, read> packed_k: array<vec4<u32>>;
@group(1) @binding(3) var<storage, read> scales_k: array<u32>;
@group(1) @binding(4) var<storage, read> packed_v: array<vec4<u32>>;
@group(1) @binding(5) var<storage, read> scales_v: array<u32>;
var<private> source: u32; // uniform over the workgroup

fn packed_a(at: u32) -> vec4<u32> {
    if source == 0u {
        return packed[at];
    }
    if source == 1u {
        return packed_k[at];
    }
    return packed_v[at];
}

fn packed_b(at: u32) -> vec4<u32> {
    return packed_a(at);
}

fn scale_word(at: u32) -> u32 {
    if source == 0u {
        return scales[at];
    }
    if source == 1u {
        return scales_k[at];
    }
    return scales_v[at];
}

fn scale_a(group: u32) -> f32 {
    return unpack2x16float(scale_word(group / 2u) >> ((group & 1u) * 16u)).x;
}

fn scale_b(group: u32) -> f32 {
    return scale_a(group);
}
