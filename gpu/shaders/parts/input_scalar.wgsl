// Rows of x of any length. The kernel's `Params` has `k`.
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, k]

fn input1(t: u32, i: u32) -> f32 {
    let inside = i < params.k;
    return select(0.0, x[select(0u, t * params.k + i, inside)], inside);
}

// x[t, 4i .. 4i + 4], zeros beyond the row.
fn input4(t: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(input1(t, 4u * i), input1(t, 4u * i + 1u), input1(t, 4u * i + 2u), input1(t, 4u * i + 3u));
}
