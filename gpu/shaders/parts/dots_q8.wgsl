// Two rows of eight-bit weights times packed activations (part `pack_acts`, order 0). Needs a part `source`. The kernel
// declares `acts` and a `Params` with `groups`. A lane takes halves of groups; integers are exact, sums over them f32.
fn dot16(w: vec4<u32>, x: vec4<u32>) -> i32 {
    return dot4I8Packed(w.x, x.x) + dot4I8Packed(w.y, x.y) + dot4I8Packed(w.z, x.z) + dot4I8Packed(w.w, x.w);
}

// (row a · x, row b · x, Σ squares of x before its norm's weight, 0) of the halves `first`, `first + step` ….
fn row_dots(row_a: u32, row_b: u32, first: u32, step: u32) -> vec4<f32> {
    let n = params.groups;
    var sum = vec4<f32>();
    for (var u = first; u < 2u * n; u += step) {
        let a = packed_a(row_a * 2u * n + u);
        let b = packed_b(row_b * 2u * n + u);
        let scale = vec2<f32>(scale_a(row_a * n + u / 2u), scale_b(row_b * n + u / 2u));
        let high = acts[u];
        let low = acts[2u * n + u];
        let of_group = acts[4u * n + u / 2u];
        let dots = vec2<f32>(f32(254 * dot16(a, high) + dot16(a, low)), f32(254 * dot16(b, high) + dot16(b, low)));
        let squares = select(0.0, bitcast<f32>(of_group.z), (u & 1u) == 0u);
        sum += vec4<f32>(dots * scale * bitcast<f32>(of_group.x), squares, 0.0);
    }
    return sum;
}
