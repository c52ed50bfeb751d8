// y = x Wᵀ + what `finish` adds, for adapters that draw on the CPU: no workgroup memory and no barrier, which cost there
// more than they save; each lane keeps 8 × 8 sums in registers.
//
//   x [T, k]       f32
//   W [n_rows, k]  rows first_row .. of the matrix, in the format of part `weight`
//   y [T, n]       f32
//
// grid   [ceil(n_rows / (8 WG)), ceil(T / 8), 1]: a workgroup 8 rows of x, a lane 8 rows of W
// parts  weight (f32 | f16 | q8 | q4), input (vec4 | scalar), gelu, finish
// cost   2 T n k operations; W is read ceil(T / 8) times, x ceil(n_rows / 8) times
override WG: u32 = 8u;
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
    t: u32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
// Bindings 1 to 3 are declared by parts `input` and `finish`, group 1 by part `weight`.

// Four values of four rows of W, a column each: a row of x times this is four dot products.
fn weights4(rows: vec4<u32>, i: u32) -> mat4x4<f32> {
    let at = rows * params.row4 + i;
    return mat4x4<f32>(weight4(at.x), weight4(at.y), weight4(at.z), weight4(at.w));
}

fn store(sums: vec4<f32>, t: u32, first_n: u32) {
    if t < params.t {
        for (var j = 0u; j < 4u; j++) {
            if first_n + j < params.n_rows {
                y[t * params.n + params.first_row + first_n + j] = sums[j];
            }
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let t = group.y * 8u;
    let n = (group.x * WG + lane) * 8u;
    let step = vec4<u32>(0u, 1u, 2u, 3u);
    let low = min(n + step, vec4<u32>(params.n_rows - 1u));
    let high = min(n + 4u + step, vec4<u32>(params.n_rows - 1u));
    let ta = min(t + step, vec4<u32>(params.t - 1u));
    let tb = min(t + 4u + step, vec4<u32>(params.t - 1u));
    // Rows of x are 0 to 7, halves of the eight columns a and b: written out, since an array might not be kept in registers.
    var s0a = vec4<f32>();
    var s0b = vec4<f32>();
    var s1a = vec4<f32>();
    var s1b = vec4<f32>();
    var s2a = vec4<f32>();
    var s2b = vec4<f32>();
    var s3a = vec4<f32>();
    var s3b = vec4<f32>();
    var s4a = vec4<f32>();
    var s4b = vec4<f32>();
    var s5a = vec4<f32>();
    var s5b = vec4<f32>();
    var s6a = vec4<f32>();
    var s6b = vec4<f32>();
    var s7a = vec4<f32>();
    var s7b = vec4<f32>();
    for (var i = 0u; i < (params.k + 3u) / 4u; i++) {
        let a = weights4(low, i);
        let b = weights4(high, i);
        let x0 = input4(ta.x, i);
        s0a += x0 * a;
        s0b += x0 * b;
        let x1 = input4(ta.y, i);
        s1a += x1 * a;
        s1b += x1 * b;
        let x2 = input4(ta.z, i);
        s2a += x2 * a;
        s2b += x2 * b;
        let x3 = input4(ta.w, i);
        s3a += x3 * a;
        s3b += x3 * b;
        let x4 = input4(tb.x, i);
        s4a += x4 * a;
        s4b += x4 * b;
        let x5 = input4(tb.y, i);
        s5a += x5 * a;
        s5b += x5 * b;
        let x6 = input4(tb.z, i);
        s6a += x6 * a;
        s6b += x6 * b;
        let x7 = input4(tb.w, i);
        s7a += x7 * a;
        s7b += x7 * b;
    }
    store(s0a, t, n);
    store(s0b, t, n + 4u);
    store(s1a, t + 1u, n);
    store(s1b, t + 1u, n + 4u);
    store(s2a, t + 2u, n);
    store(s2b, t + 2u, n + 4u);
    store(s3a, t + 3u, n);
    store(s3b, t + 3u, n + 4u);
    store(s4a, t + 4u, n);
    store(s4b, t + 4u, n + 4u);
    store(s5a, t + 5u, n);
    store(s5b, t + 5u, n + 4u);
    store(s6a, t + 6u, n);
    store(s6b, t + 6u, n + 4u);
    store(s7a, t + 7u, n);
    store(s7b, t + 7u, n + 4u);
    // In a second walk, so that what `finish` does is compiled once and not 64 times.
    if params.has_bias + params.has_addend + GELU > 0u {
        for (var j = 0u; j < 64u; j++) {
            let out_t = t + j / 8u;
            let out_n = n + j % 8u;
            if out_t < params.t && out_n < params.n_rows {
                let row = params.first_row + out_n;
                y[out_t * params.n + row] = finish(y[out_t * params.n + row], out_t, row);
            }
        }
    }
}
