// f16 in plain WGSL. Packing is done in integers: `pack2x16float` may round as the driver likes.

// The bits of `x` as f16, rounded to nearest even; overflow gives infinity, NaN stays NaN.
fn f16_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let negative = (bits >> 16u) & 0x8000u;
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return negative | 0x7e00u;
    }
    if magnitude >= 0x477ff000u { // 65520 and above
        return negative | 0x7c00u;
    }
    if magnitude >= 0x38800000u { // normal: 2^-14 and above
        let odd = (magnitude >> 13u) & 1u;
        return negative | ((magnitude + 0xfffu + odd - 0x38000000u) >> 13u);
    }
    if magnitude < 0x33000000u { // below half of the smallest subnormal
        return negative;
    }
    let shift = 126u - (magnitude >> 23u); // 14 ..= 24
    let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    let kept = mantissa >> shift;
    let rest = mantissa & ((1u << shift) - 1u);
    let tie = 1u << (shift - 1u);
    let up = rest > tie || (rest == tie && (kept & 1u) == 1u);
    return negative | (kept + select(0u, 1u, up));
}

fn f16_pack(low: f32, high: f32) -> u32 {
    return f16_bits(low) | (f16_bits(high) << 16u);
}

// The value of finite f16 bits, subnormals included.
fn f16_value(bits: u32) -> f32 {
    let magnitude = bits & 0x7fffu;
    let subnormal = f32(magnitude) * 5.960464477539063e-08; // 2^-24
    let normal = bitcast<f32>((magnitude << 13u) + 0x38000000u);
    let value = select(normal, subnormal, magnitude < 0x400u);
    return select(value, -value, (bits & 0x8000u) != 0u);
}
