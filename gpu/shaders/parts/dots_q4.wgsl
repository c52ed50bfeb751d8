// Two rows of four-bit weights times packed activations (part `pack_acts`, order 1). Needs a part `source`. The kernel
// declares `acts` and a `Params` with `groups`. A lane takes whole groups of 32; integers are exact, sums over groups f32.
fn dot32(w: vec4<u32>, low: vec4<u32>, high: vec4<u32>) -> i32 {
    let even = w & vec4<u32>(0x0f0f0f0fu);
    let odd = (w >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
    return dot4I8Packed(even.x, low.x) + dot4I8Packed(odd.x, low.y) + dot4I8Packed(even.y, low.z)
        + dot4I8Packed(odd.y, low.w) + dot4I8Packed(even.z, high.x) + dot4I8Packed(odd.z, high.y)
        + dot4I8Packed(even.w, high.z) + dot4I8Packed(odd.w, high.w);
}

// (row a · x, row b · x, Σ squares of x before its norm's weight, 0) of the groups `first`, `first + step` ….
fn row_dots(row_a: u32, row_b: u32, first: u32, step: u32) -> vec4<f32> {
    let n = params.groups;
    var sum = vec4<f32>();
    for (var g = first; g < n; g += step) {
        let a = packed_a(row_a * n + g);
        let b = packed_b(row_b * n + g);
        let scale = vec2<f32>(scale_a(row_a * n + g), scale_b(row_b * n + g));
        let high0 = acts[g];
        let high1 = acts[n + g];
        let low0 = acts[2u * n + g];
        let low1 = acts[3u * n + g];
        let of_group = acts[4u * n + g];
        // 8 Σ x takes back that a weight of 0 is stored as 8.
        let back = bitcast<i32>(of_group.y);
        let dots = vec2<f32>(
            f32(254 * dot32(a, high0, high1) + dot32(a, low0, low1) - back),
            f32(254 * dot32(b, high0, high1) + dot32(b, low0, low1) - back),
        );
        sum += vec4<f32>(dots * scale * bitcast<f32>(of_group.x), bitcast<f32>(of_group.z), 0.0);
    }
    return sum;
}
