// Sixteen weights of four bits at a time, as f16 into the kernel's `w_tile`; two weights. value = (q - 8) scale; 32 values
// share an f16 scale.
// needs  f16
@group(1) @binding(0) var<storage, read> packed: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read> scales: array<u32>;
@group(1) @binding(2) var<storage, read> packed_up: array<vec2<u32>>;
@group(1) @binding(3) var<storage, read> scales_up: array<u32>;

struct Raw { words: vec2<u32>, scale: u32 } // the scale in the lower half

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
    unpack8(at, raw.words.x, scale);
    unpack8(at + 2u, raw.words.y, scale);
}

// Eight values: those of even places in the low halves of the bytes, the others in the high ones.
fn unpack8(at: u32, word: u32, scale: f32) {
    let even = vec4<f32>(unpack4xU8(word & 0x0f0f0f0fu)) * scale - 8.0 * scale;
    let odd = vec4<f32>(unpack4xU8((word >> 4u) & 0x0f0f0f0fu)) * scale - 8.0 * scale;
    w_tile[at] = vec4<f16>(vec4<f32>(even.x, odd.x, even.y, odd.y));
    w_tile[at + 1u] = vec4<f16>(vec4<f32>(even.z, odd.z, even.w, odd.w));
}
