// What follows a linear layer's sums: bias, GELU, a residual. Needs part `gelu`. The kernel's `Params` has `n`, `has_bias` and
// `has_addend`; operands that are absent are bound to x and not used. GELU, its form, is an override of the kernel's, since the code
// may stand there once for each sum (and naga 30 panics where it is one of a part's behind what uses other overrides).
@group(0) @binding(2) var<storage, read> bias: array<f32>;   // [n]
@group(0) @binding(3) var<storage, read> addend: array<f32>; // [T, n]

fn finish(sum: f32, t: u32, row: u32) -> f32 {
    var value = sum;
    if params.has_bias != 0u {
        value += bias[row];
    }
    if GELU != 0u {
        value = gelu(value, GELU);
    }
    if params.has_addend != 0u {
        value += addend[t * params.n + row];
    }
    return value;
}
