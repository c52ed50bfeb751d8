// What follows a linear layer's sums: bias, GELU, a residual. Needs part `gelu`. The kernel's `Params` has `n`,
// `has_bias`, `has_addend` and `gelu_form`; operands that are absent are bound to x and not used.
@group(0) @binding(2) var<storage, read> bias: array<f32>;   // [n]
@group(0) @binding(3) var<storage, read> addend: array<f32>; // [T, n]

fn finish(sum: f32, t: u32, row: u32) -> f32 {
    var value = sum;
    if params.has_bias != 0u {
        value += bias[row];
    }
    if params.gelu_form != 0u {
        value = gelu(value, params.gelu_form);
    }
    if params.has_addend != 0u {
        value += addend[t * params.n + row];
    }
    return value;
}
