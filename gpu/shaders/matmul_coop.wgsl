// y = x Wᵀ + what `finish_four` adds, or silu(x Gᵀ) · (x Uᵀ): many rows at once by cooperative matrices, products of f16
// summed in f32; prefill and the vision tower.
//
//   x [T, k]       f16, k % 4 == 0
//   W [n_rows, k]  rows first_row .. of the matrix, n_rows % 4 == 0, in the format of part `halves`; with PAIR G and U
//   y [T, n]       as part `result` says, n % 4 == 0
//
// grid   [ceil(T / TILE_T), ceil(n_rows / TILE_N), 1]: a workgroup a tile of y (half as wide with PAIR), a subgroup of 32
//        lanes 16 MA × 32 of it
// needs  f16, subgroups, coop
// parts  halves (f16 | q8 | q4), tile (wide | medium | small), result (f32 | f16), gelu, finish_four
// cost   2 T n k operations; W is read and unpacked ceil(T / TILE_T) times, x read ceil(n / TILE_N) times
override PAIR: u32 = 0u; // 1: the first half of a tile's rows is of G, the other of U
override EDGE: u32 = 1u; // 0: k is a multiple of 64
const ROW: u32 = 18u;    // vectors from a row of a tile to the next: 64 values, and 8 that set rows on different banks
const SIDE: u32 = 20u;   // the same for 16 sums
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
@group(0) @binding(1) var<storage, read> x: array<vec4<f16>>;
// Bindings 2 to 4 are declared by parts `finish_four` and `result`, group 1 by part `halves`; TILE_T, TILE_N, X_ROWS, LANES, MA and
// the counts of what a lane loads by part `tile`.
var<workgroup> x_tile: array<vec4<f16>, X_ROWS * ROW>;
var<workgroup> w_tile: array<vec4<f16>, TILE_N * ROW>;
var<workgroup> sums: array<f32, LANES / 32u * 16u * SIDE>;

// Vector i of the row of x that starts at base, zeros beyond its end.
fn input(base: u32, i: u32) -> vec4<f16> {
    if EDGE == 0u {
        return x[base + i];
    }
    let inside = i < params.k / 4u;
    return select(vec4<f16>(), x[select(0u, base + i, inside)], inside);
}

// Sixteen values of W, the row counted in the tile, for part `halves`: beyond the last row that one again, beyond a row's
// end values that meet zeros of x.
fn stored(first_n: u32, row: u32, i: u32, up: bool) -> Raw {
    let row16 = params.row4 / 4u;
    return raw16(min(first_n + row, params.n_rows - 1u) * row16 + min(i, row16 - 1u), up);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first_t = group.x * TILE_T;
    let first_n = group.y * select(TILE_N, TILE_N / 2u, PAIR == 1u);
    let k4 = params.k / 4u;
    // A subgroup's place in the tile.
    let subgroup = lane / 32u;
    let my_t = subgroup % (TILE_T / (16u * MA)) * (16u * MA);
    let my_n = subgroup / (TILE_T / (16u * MA)) * 32u;
    let my_w = select(my_n, my_n / 2u, PAIR == 1u);
    let next_w = select(16u, TILE_N / 2u, PAIR == 1u);
//% for i in MA
    var sum_$i_0 = coop_mat16x16<f32, C>();
    var sum_$i_1 = coop_mat16x16<f32, C>();
//% end
    // What a lane loads: pairs of vectors of x, sixteen values of W.
    let x_column = lane % 8u * 2u;
    let w_column = lane % 4u;
//% for q in XU
    let x_row$q = (lane + $qu * LANES) / 8u;
    let x_base$q = min(first_t + x_row$q, params.t - 1u) * k4;
    let x_at$q = x_row$q * ROW + x_column;
    var x_low$q = input(x_base$q, x_column);
    var x_high$q = input(x_base$q, x_column + 1u);
//% end
//% for q in WU
    let w_at$q = (lane + $qu * LANES) / 4u * ROW + w_column * 4u;
    let w_row$q = select((lane + $qu * LANES) / 4u, lane / 4u, PAIR == 1u);
    var w$q = stored(first_n, w_row$q, w_column, PAIR == 1u && $qu == 1u);
//% end
    for (var k = 0u; k < k4; k += 16u) {
        workgroupBarrier();
//% for q in XU
        x_tile[x_at$q] = x_low$q;
        x_tile[x_at$q + 1u] = x_high$q;
//% end
//% for q in WU
        unpack16(w_at$q, w$q);
//% end
        workgroupBarrier();
        // The next tile is on its way while this one is multiplied; behind the last, the first again.
        let next = select(0u, k + 16u, k + 16u < k4);
//% for q in XU
        x_low$q = input(x_base$q, next + x_column);
        x_high$q = input(x_base$q, next + x_column + 1u);
//% end
//% for q in WU
        w$q = stored(first_n, w_row$q, next / 4u + w_column, PAIR == 1u && $qu == 1u);
//% end
//% for s in 4
        {
//% for i in MA
            let a$i = coopLoadT<coop_mat16x16<f16, A>>(&x_tile[(my_t + $iu * 16u) * ROW + $su * 4u], ROW);
//% end
//% for j in 2
            let b$j = coopLoad<coop_mat16x16<f16, B>>(&w_tile[(my_w + $ju * next_w) * ROW + $su * 4u], ROW);
//% for i in MA
            sum_$i_$j = coopMultiplyAdd(a$i, b$j, sum_$i_$j);
//% end
//% end
        }
//% end
    }
    // Sixteen by sixteen sums at a time through workgroup memory, since lanes cannot see into a matrix. (`subgroupBarrier`
    // does not order workgroup memory.)
    let mine = subgroup * 16u * SIDE;
    let row = lane % 32u / 2u;
    let column = lane % 2u * 8u;
    let at = mine + row * SIDE + column;
    var low = vec4<f32>();
    var high = vec4<f32>();
//% for i in MA
//% for j in 2
    coopStoreT(sum_$i_$j, &sums[mine], SIDE);
    workgroupBarrier();
    {
        let first = vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
        let second = vec4<f32>(sums[at + 4u], sums[at + 5u], sums[at + 6u], sums[at + 7u]);
        let t = first_t + my_t + $iu * 16u + row;
        if PAIR == 0u {
            let n = first_n + my_n + $ju * 16u + column;
            keep(t, n, finish4(first, t, n), finish4(second, t, n + 4u));
        } else if $ju == 1u {
            keep(t, first_n + my_n / 2u + column, silu(low) * first, silu(high) * second);
        }
        low = first;
        high = second;
    }
    workgroupBarrier();
//% end
//% end
}

fn keep(t: u32, n: u32, low: vec4<f32>, high: vec4<f32>) {
    let at = (t * params.n + params.first_row + n) / 4u;
    if t < params.t && n < params.n_rows {
        put4(at, low);
    }
    if t < params.t && n + 4u < params.n_rows {
        put4(at + 1u, high);
    }
}

// exp is kept finite: beyond it the result is 0 to f32 anyway.
fn silu(v: vec4<f32>) -> vec4<f32> {
    return v / (1.0 + exp(clamp(-v, vec4<f32>(-80.0), vec4<f32>(80.0))));
}
