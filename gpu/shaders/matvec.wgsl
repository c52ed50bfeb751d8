// y[t] = W x[t] + what `finish` adds: matrix × a few vectors; decoding.
//
//   x [T, k]       f32, T <= 4
//   W [n_rows, k]  rows first_row .. of the matrix, in the format of part `weight`
//   y [T, n]       f32
//
// grid   [min(n_rows, 65535), ceil(n_rows / 65535), 1]: a workgroup a row, WG lanes share it; sums in f32
// parts  weight (f32 | f16 | q8 | q4), input (vec4 | scalar), gelu, finish, reduce, fold
// cost   reads the bytes of W once: memory-bound
override WG: u32 = 64u; // a power of two
override T: u32 = 1u;   // 1 ..= 4
override GELU: u32 = 0u; // its form in part `gelu`; 0 is none
struct Params {
    n: u32,
    k: u32,
    n_rows: u32,
    first_row: u32,
    row4: u32, // groups of four values in a stored row
    has_bias: u32,
    has_addend: u32,
    pad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
// Bindings 1 to 3 are declared by parts `input` and `finish`, group 1 by part `weight`.
var<workgroup> scratch: array<f32, WG>; // for part `reduce`

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup_index(group);
    let inside = row < params.n_rows;
    let base = select(0u, row, inside) * params.row4;
    var sum = vec4<f32>();
    for (var i = lane; i < (params.k + 3u) / 4u; i += WG) {
        let w = weight4(base + i);
        sum.x += dot(w, input4(0u, i));
        if T > 1u { sum.y += dot(w, input4(1u, i)); }
        if T > 2u { sum.z += dot(w, input4(2u, i)); }
        if T > 3u { sum.w += dot(w, input4(3u, i)); }
    }
    for (var t = 0u; t < T; t++) {
        let total = reduce_sum(lane, sum[t]);
        if lane == 0u && inside {
            let out = params.first_row + row;
            y[t * params.n + out] = finish(total, t, out);
        }
    }
}
