// Packs activations for integer dot products: in groups of 32, x = s / 254 · (254 high + low) with two bytes a value and
// s = max |x| / 127, which is 15 bits and a sign. The kernel declares `PACKS` (groups that a workgroup packs at once) and
// `acts_out`: vectors of four words, five for each of n groups.
//   order 0: bytes as they come: highs [n, 2], lows [n, 2]
//   order 1: of each eight values 0, 2, 4, 6 in one word and 1, 3, 5, 7 in the next, as nibbles lie: highs [2, n], lows [2, n]
//   then [n] (s / 254, 8 Σ (254 high + low), Σ squared, 0)
var<workgroup> pack_values: array<vec2<f32>, 32u * PACKS>;
var<workgroup> pack_codes: array<vec2<i32>, 32u * PACKS>;

// Lane i < 32 PACKS gives value i % 32 of `group`, and what is squared for a norm. All lanes call this, in uniform control
// flow.
fn pack_acts(lane: u32, value: f32, squared: f32, group: u32, n: u32, order: u32) {
    let packs = lane < 32u * PACKS;
    let first = select(0u, lane / 32u * 32u, packs);
    workgroupBarrier();
    if packs {
        pack_values[lane] = vec2<f32>(value, squared);
    }
    workgroupBarrier();
    var top = 0.0;
    var squares = 0.0;
    if packs {
        for (var i = 0u; i < 32u; i++) {
            let both = pack_values[first + i];
            top = max(top, abs(both.x));
            squares += both.y * both.y;
        }
        let steps = value * (127.0 / max(top, 1e-30));
        let high = round(steps);
        pack_codes[lane] = vec2<i32>(i32(high), i32(round((steps - high) * 254.0)));
    }
    workgroupBarrier();
    let i = lane % 32u;
    if packs && group < n {
        if i < 16u {
            let plane = i / 8u;
            let word = i % 8u;
            let start = first + select(4u * word, 8u * (word / 2u) + (word & 1u), order == 1u);
            let stride = select(1u, 2u, order == 1u);
            var bytes = 0u;
            for (var c = 0u; c < 4u; c++) {
                let code = pack_codes[start + c * stride];
                bytes |= (bitcast<u32>(select(code.x, code.y, plane == 1u)) & 0xffu) << (8u * c);
            }
            let in_plane = select(2u * group + word / 4u, word / 4u * n + group, order == 1u);
            acts_out[4u * (plane * 2u * n + in_plane) + word % 4u] = bytes;
        } else if i == 16u {
            var sum = 0;
            for (var j = 0u; j < 32u; j++) {
                let code = pack_codes[first + j];
                sum += 254 * code.x + code.y;
            }
            let at = 4u * (4u * n + group);
            acts_out[at] = bitcast<u32>(top / 127.0 / 254.0);
            acts_out[at + 1u] = bitcast<u32>(8 * sum);
            acts_out[at + 2u] = bitcast<u32>(squares);
            acts_out[at + 3u] = 0u;
        }
    }
}
