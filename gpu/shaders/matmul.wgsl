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
        // Both tiles are stored with k outermost, so that the inner loop reads whole vectors.
        for (var j = lane; j < TY * KT; j += TX * TY) {
            let row = j / (KT / 4u);
            let depth4 = j % (KT / 4u);
            let t = first_t + row;
            let value = select(vec4<f32>(), input4(min(t, params.t - 1u), k / 4u + depth4), t < params.t);
            let to = depth4 * 4u * TY + row / 4u;
            x_tile[to][row % 4u] = value.x;
            x_tile[to + TY][row % 4u] = value.y;
            x_tile[to + 2u * TY][row % 4u] = value.z;
            x_tile[to + 3u * TY][row % 4u] = value.w;
        }
        for (var j = lane; j < TX * KT; j += TX * TY) {
            let row = j / (KT / 4u);
            let depth4 = j % (KT / 4u);
            let n = min(first_n + row, params.n_rows - 1u);
            let value = weight4(n * params.row4 + k / 4u + depth4);
            let to = depth4 * 4u * TX + row / 4u;
            w_tile[to][row % 4u] = value.x;
            w_tile[to + TX][row % 4u] = value.y;
            w_tile[to + 2u * TX][row % 4u] = value.z;
            w_tile[to + 3u * TX][row % 4u] = value.w;
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
