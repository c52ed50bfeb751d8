// y = x Wᵀ + what `finish` adds: many rows at once; prefill and the vision tower.
//
//   x [T, k]       f32
//   W [n_rows, k]  rows first_row .. of the matrix, in the format of part `weight`
//   y [T, n]       f32
//
// grid   [ceil(n_rows / (4 TX)), ceil(T / (4 TY)), 1]: a workgroup a tile of y, a lane 4 × 4 of it
// parts  weight (f32 | f16 | q8 | q4), input (vec4 | scalar), gelu, finish
// cost   2 T n k operations; W is read ceil(T / (4 TY)) times, x ceil(n / (4 TX)) times
override TX: u32 = 16u;
override TY: u32 = 16u;
const KT: u32 = 16u; // depth of a tile; divides the 32 values of a group
override X4: u32 = KT * TY; // vectors in the x tile
override W4: u32 = KT * TX; // vectors in the W tile
struct Params {
    n: u32,
    k: u32,
    n_rows: u32,
    first_row: u32,
    row4: u32, // groups of four values in a stored row
    has_bias: u32,
    has_addend: u32,
    gelu_form: u32,
    t: u32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
// Bindings 1 to 3 are declared by parts `input` and `finish`, group 1 by part `weight`.
var<workgroup> x_tile: array<vec4<f32>, X4>; // [KT, TY] of 4 rows
var<workgroup> w_tile: array<vec4<f32>, W4>; // [KT, TX] of 4 rows

@compute @workgroup_size(TX, TY)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first_t = group.y * TY * 4u;
    let first_n = group.x * TX * 4u;
    var acc: array<vec4<f32>, 4>; // rows t, columns n
    for (var k = 0u; k < params.k; k += KT) {
        // Both tiles are stored with k outermost, so that the inner loop reads whole vectors: a lane turns 4 × 4 values.
        for (var j = lane; j < TY * (KT / 4u); j += TX * TY) {
            let depth4 = j % (KT / 4u);
            let row4 = j / (KT / 4u);
            let rows = first_t + row4 * 4u + vec4<u32>(0u, 1u, 2u, 3u);
            let at = min(rows, vec4<u32>(params.t - 1u));
            let i = k / 4u + depth4;
            let turned = transpose(mat4x4<f32>(input4(at.x, i), input4(at.y, i), input4(at.z, i), input4(at.w, i)));
            let first = depth4 * 4u * TY + row4;
            x_tile[first] = turned[0];
            x_tile[first + TY] = turned[1];
            x_tile[first + 2u * TY] = turned[2];
            x_tile[first + 3u * TY] = turned[3];
        }
        for (var j = lane; j < TX * (KT / 4u); j += TX * TY) {
            let depth4 = j % (KT / 4u);
            let row4 = j / (KT / 4u);
            let rows = first_n + row4 * 4u + vec4<u32>(0u, 1u, 2u, 3u);
            let at = min(rows, vec4<u32>(params.n_rows - 1u)) * params.row4 + k / 4u + depth4;
            let turned = transpose(mat4x4<f32>(weight4(at.x), weight4(at.y), weight4(at.z), weight4(at.w)));
            let first = depth4 * 4u * TX + row4;
            w_tile[first] = turned[0];
            w_tile[first + TX] = turned[1];
            w_tile[first + 2u * TX] = turned[2];
            w_tile[first + 3u * TX] = turned[3];
        }
        workgroupBarrier();
        for (var i = 0u; i < KT; i++) {
            let a = x_tile[i * TY + local.y];
            let b = w_tile[i * TX + local.x];
            acc[0] += a.x * b;
            acc[1] += a.y * b;
            acc[2] += a.z * b;
            acc[3] += a.w * b;
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let t = first_t + local.y * 4u + i;
        for (var j = 0u; j < 4u; j++) {
            let n = first_n + local.x * 4u + j;
            if t < params.t && n < params.n_rows {
                let out = params.first_row + n;
                y[t * params.n + out] = finish(acc[i][j], t, out);
            }
        }
    }
}
