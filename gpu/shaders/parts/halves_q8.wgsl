// Sixteen weights of i8 at a time, as f16 into the kernel's `w_tile`; two weights. 32 values share an f16 scale.
// needs  f16
@group(1) @binding(0) var<storage, read> packed: array<vec4<u32>>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;
@group(1) @binding(2) var<storage, read> packed_up: array<vec4<u32>>;
@group(1) @binding(3) var<storage, read> scales_up: array<u32>;

struct Raw { words: vec4<u32>, scale: u32 } // the scale in the lower half

// Values 16 unit .. 16 unit + 16, counted over the whole part.
fn raw16(unit: u32, up: bool) -> Raw {
    let half = (unit & 2u) * 8u;
    if up {
        return Raw(packed_up[unit], scales_up[unit / 4u] >> half);
    }
    return Raw(packed[unit], scales[unit / 4u] >> half);
}

fn unpack16(at: u32, raw: Raw) {
    let scale = unpack2x16float(raw.scale).x;
    w_tile[at] = vec4<f16>(vec4<f32>(unpack4xI8(raw.words.x)) * scale);
    w_tile[at + 1u] = vec4<f16>(vec4<f32>(unpack4xI8(raw.words.y)) * scale);
    w_tile[at + 2u] = vec4<f16>(vec4<f32>(unpack4xI8(raw.words.z)) * scale);
    w_tile[at + 3u] = vec4<f16>(vec4<f32>(unpack4xI8(raw.words.w)) * scale);
}
