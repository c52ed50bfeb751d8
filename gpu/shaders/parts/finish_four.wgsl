// What follows a linear layer's sums, four columns at a time: bias, GELU, a residual. Needs part `gelu`. The kernel's `Params`
// has `n`, `first_row`, `n_rows`, `t`, `has_bias` and `has_addend`; operands that are absent are bound to x and not used.
override GELU: u32 = 0u; // its form; fixed with the pipeline, since the code stands there once for each matrix of sums
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;   // [n / 4]
@group(0) @binding(3) var<storage, read> addend: array<vec4<f32>>; // [T, n / 4]

// Of columns n .. n + 4 of the part's rows.
fn finish4(sum: vec4<f32>, t: u32, n: u32) -> vec4<f32> {
    let row = params.first_row + min(n, params.n_rows - 4u);
    var value = sum;
    if params.has_bias != 0u {
        value += bias[row / 4u];
    }
    if GELU != 0u {
        value = vec4<f32>(gelu(value.x, GELU), gelu(value.y, GELU), gelu(value.z, GELU), gelu(value.w, GELU));
    }
    if params.has_addend != 0u {
        value += addend[(min(t, params.t - 1u) * params.n + row) / 4u];
    }
    return value;
}
