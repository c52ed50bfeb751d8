// Both rows of a pair come from one weight.
@group(1) @binding(0) var<storage, read> packed: array<vec4<u32>>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;

fn packed_a(at: u32) -> vec4<u32> {
    return packed[at];
}

fn packed_b(at: u32) -> vec4<u32> {
    return packed[at];
}

fn scale_a(group: u32) -> f32 {
    return unpack2x16float(scales[group / 2u] >> ((group & 1u) * 16u)).x;
}

fn scale_b(group: u32) -> f32 {
    return scale_a(group);
}
