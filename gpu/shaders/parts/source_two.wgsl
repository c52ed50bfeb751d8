// The rows of a pair come from two weights of one shape.
@group(1) @binding(0) var<storage, read> packed: array<vec4<u32>>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;
@group(1) @binding(2) var<storage, read> packed_up: array<vec4<u32>>;
@group(1) @binding(3) var<storage, read> scales_up: array<u32>;

fn packed_a(at: u32) -> vec4<u32> {
    return packed[at];
}

fn packed_b(at: u32) -> vec4<u32> {
    return packed_up[at];
}

fn scale_a(group: u32) -> f32 {
    return unpack2x16float(scales[group / 2u] >> ((group & 1u) * 16u)).x;
}

fn scale_b(group: u32) -> f32 {
    return unpack2x16float(scales_up[group / 2u] >> ((group & 1u) * 16u)).x;
}
