// Sixteen weights of f16 at a time, into the kernel's `w_tile`; two weights.
// needs  f16
@group(1) @binding(0) var<storage, read> packed: array<vec4<f16>>;
@group(1) @binding(1) var<storage, read> packed_up: array<vec4<f16>>;

struct Raw { a: vec4<f16>, b: vec4<f16>, c: vec4<f16>, d: vec4<f16> }

// Values 16 unit .. 16 unit + 16, counted over the whole part.
fn raw16(unit: u32, up: bool) -> Raw {
    let i = unit * 4u;
    if up {
        return Raw(packed_up[i], packed_up[i + 1u], packed_up[i + 2u], packed_up[i + 3u]);
    }
    return Raw(packed[i], packed[i + 1u], packed[i + 2u], packed[i + 3u]);
}

fn unpack16(at: u32, raw: Raw) {
    w_tile[at] = raw.a;
    w_tile[at + 1u] = raw.b;
    w_tile[at + 2u] = raw.c;
    w_tile[at + 3u] = raw.d;
}
