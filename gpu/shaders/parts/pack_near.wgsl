// As part `pack_acts`, of one group, by the first 32 lanes of a kernel with a part `team`: order and layout are said there.
// Sums and maxima over the team's neighbours keep registers free for the kernel's own work.
var<workgroup> pack_codes: array<vec2<u32>, 32>;

// Lane i < 32 gives value i of `group`, and what is squared for a norm; other lanes give zeros. All lanes call this, in
// uniform control flow.
fn pack_acts(lane: u32, value: f32, squared: f32, group: u32, n: u32, order: u32) {
    let teams = max(1u, 32u / LANES); // of a group
    let top = near_max(lane, vec4<f32>(abs(value), 0.0, 0.0, 0.0), teams).x;
    let steps = value * (127.0 / max(top, 1e-30));
    let high = round(steps);
    let low = round((steps - high) * 254.0);
    // A million at most: exact.
    let sums = near_sum(lane, vec4<f32>(squared * squared, 254.0 * high + low, 0.0, 0.0), teams);
    if lane < 32u {
        pack_codes[lane] = vec2<u32>(bitcast<u32>(i32(high)), bitcast<u32>(i32(low))) & vec2<u32>(0xffu);
    }
    workgroupBarrier();
    if lane < 16u && group < n {
        let plane = lane / 8u;
        let word = lane % 8u;
        let start = select(4u * word, 8u * (word / 2u) + (word & 1u), order == 1u);
        let stride = select(1u, 2u, order == 1u);
        let a = pack_codes[start];
        let b = pack_codes[start + stride];
        let c = pack_codes[start + 2u * stride];
        let d = pack_codes[start + 3u * stride];
        let both = a | (b << vec2<u32>(8u)) | (c << vec2<u32>(16u)) | (d << vec2<u32>(24u));
        let in_plane = select(2u * group + word / 4u, word / 4u * n + group, order == 1u);
        acts_out[4u * (plane * 2u * n + in_plane) + word % 4u] = select(both.x, both.y, plane == 1u);
    }
    if lane == 0u && group < n {
        let at = 4u * (4u * n + group);
        acts_out[at] = bitcast<u32>(top / 127.0 / 254.0);
        acts_out[at + 1u] = bitcast<u32>(8 * i32(sums.y));
        acts_out[at + 2u] = bitcast<u32>(sums.x);
        acts_out[at + 3u] = 0u;
    }
}
