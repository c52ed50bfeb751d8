// y = x Wᵀ + what `finish` adds: many rows at once; prefill and the vision tower, where there are no cooperative matrices.
//
//   x [T, k]       f32
//   W [n_rows, k]  rows first_row .. of the matrix, in the format of part `weight`
//   y [T, n]       f32
//
// grid   [ceil(n_rows / SIDE), ceil(T / SIDE), 1], SIDE = 64 QUADS: a workgroup a tile of y, a lane 4 QUADS × 4 QUADS of it
// parts  weight (f32 | f16 | q8 | q4), input (vec4 | scalar), quads (one | two), gelu, finish
// cost   2 T n k operations; W is read ceil(T / SIDE) times, x ceil(n / SIDE) times
//
// Sums have names, not places in an array, and lie in registers for it. Both tiles have k outermost and four rows in a vector.
const KT: u32 = 16u; // depth of a tile; divides the 32 values of a group
const ROWS4: u32 = 16u * QUADS; // vectors of rows in a tile
const BLOCKS: u32 = ROWS4 * (KT / 4u); // squares of 4 × 4 values in a tile, a lane each
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
// Bindings 1 to 3 are declared by parts `input` and `finish`, group 1 by part `weight`, QUADS by part `quads`.
var<workgroup> x_tile: array<vec4<f32>, KT * ROWS4>;
var<workgroup> w_tile: array<vec4<f32>, KT * ROWS4>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first_t = group.y * (64u * QUADS);
    let first_n = group.x * (64u * QUADS);
//% for p in QUADS
//% for q in QUADS
//% for r in 4
    var sum_$p_$q_$r = vec4<f32>();
//% end
//% end
//% end
    // The first lanes turn squares of x, the next ones squares of W.
    let block = lane % BLOCKS;
    let depth4 = block % (KT / 4u);
    let row4 = block / (KT / 4u);
    let place = depth4 * 4u * ROWS4 + row4;
    let rows = row4 * 4u + vec4<u32>(0u, 1u, 2u, 3u);
    let x_rows = min(first_t + rows, vec4<u32>(params.t - 1u));
    let w_rows = min(first_n + rows, vec4<u32>(params.n_rows - 1u)) * params.row4;
    for (var k = 0u; k < params.k; k += KT) {
        let i = k / 4u + depth4;
        if lane < BLOCKS {
            let turned = transpose(mat4x4<f32>(
                input4(x_rows.x, i),
                input4(x_rows.y, i),
                input4(x_rows.z, i),
                input4(x_rows.w, i),
            ));
            x_tile[place] = turned[0];
            x_tile[place + ROWS4] = turned[1];
            x_tile[place + 2u * ROWS4] = turned[2];
            x_tile[place + 3u * ROWS4] = turned[3];
        } else if lane < 2u * BLOCKS {
            let at = w_rows + i;
            let turned = transpose(mat4x4<f32>(weight4(at.x), weight4(at.y), weight4(at.z), weight4(at.w)));
            w_tile[place] = turned[0];
            w_tile[place + ROWS4] = turned[1];
            w_tile[place + 2u * ROWS4] = turned[2];
            w_tile[place + 3u * ROWS4] = turned[3];
        }
        workgroupBarrier();
        for (var j = 0u; j < KT; j++) {
//% for p in QUADS
            let a$p = x_tile[j * ROWS4 + local.y + $pu * 16u];
            let b$p = w_tile[j * ROWS4 + local.x + $pu * 16u];
//% end
//% for p in QUADS
//% for q in QUADS
//% for r in 4
            sum_$p_$q_$r += a$p[$r] * b$q;
//% end
//% end
//% end
        }
        workgroupBarrier();
    }
//% for p in QUADS
//% for q in QUADS
//% for r in 4
    keep(first_t + (local.y + $pu * 16u) * 4u + $ru, first_n + (local.x + $qu * 16u) * 4u, sum_$p_$q_$r);
//% end
//% end
//% end
}

fn keep(t: u32, n: u32, sums: vec4<f32>) {
    if t < params.t {
        let at = t * params.n + params.first_row + n;
        let out = params.first_row + n;
        if n < params.n_rows {
            y[at] = finish(sums.x, t, out);
        }
        if n + 1u < params.n_rows {
            y[at + 1u] = finish(sums.y, t, out + 1u);
        }
        if n + 2u < params.n_rows {
            y[at + 2u] = finish(sums.z, t, out + 2u);
        }
        if n + 3u < params.n_rows {
            y[at + 3u] = finish(sums.w, t, out + 3u);
        }
    }
}
