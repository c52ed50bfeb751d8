// Rows of x whose length is a multiple of 4. The kernel's `Params` has `k`.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, k / 4]

// x[t, 4i .. 4i + 4], zeros beyond the row.
fn input4(t: u32, i: u32) -> vec4<f32> {
    let k4 = params.k / 4u;
    let inside = i < k4;
    return select(vec4<f32>(), x[select(0u, t * k4 + i, inside)], inside);
}
