// y = f · W x + what `finish` adds: quantised matrix × one vector by integer dot products; decoding.
//
//   x [k]          packed as part `pack_acts` says, rows of W padded to whole groups
//   W [n_rows, k]  rows first_row .. of the matrix, two weights of 4 or 8 bits at a time
//   f              1, or the factor 1 / √(mean(x²) + eps) of the RMS norm whose weight is in x
//   y [n]          f32
//
// grid   [min(ceil(n_rows / ROWS), 65535), …, 1], ROWS = 2 TURNS TEAMS / SHARE: LANES · SHARE lanes share two rows
// parts  dots (q4 | q8), source_one, team (subgroup | shared), then (store | norm), finish, gelu, fold
// cost   reads the bytes of W once: memory-bound
override LANES: u32 = 32u; // of a team: the subgroup's size, or any power of two
override TEAMS: u32 = 8u;  // of a workgroup
override SHARE: u32 = 2u;  // teams that share rows
override TURNS: u32 = 1u; // rounds of rows
override GELU: u32 = 0u; // its form in part `gelu`; 0 is none
struct Params {
    n: u32,
    k: u32,
    n_rows: u32,
    first_row: u32,
    groups: u32, // of 32 values in x
    has_bias: u32,
    has_addend: u32,
    has_norm: u32,
    eps: f32,
    order: u32, // of what is packed
    pad0: u32,
    pad1: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> acts: array<vec4<u32>>;
// Bindings 2 and 3 are declared by part `finish`, those behind by part `then`, group 1 by part `source`.

@compute @workgroup_size(LANES * TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_index(group);
    let place = lane % (LANES * SHARE);
    for (var turn = 0u; turn < TURNS; turn++) {
        let local = 2u * (turn * (TEAMS / SHARE) + lane / (LANES * SHARE));
        let row = index * 2u * TURNS * (TEAMS / SHARE) + local;
        let last = params.n_rows - 1u;
        let dots = row_dots(min(row, last), min(row + 1u, last), place, LANES * SHARE);
        let total = near_sum(lane, dots, SHARE);
        let factor = select(1.0, 1.0 / sqrt(total.z / f32(params.k) + params.eps), params.has_norm != 0u);
        if place < 2u {
            let sum = select(total.x, total.y, place == 1u) * factor;
            keep(local + place, params.first_row + row + place, sum, row + place <= last);
        }
    }
    settle(lane, params.first_row / 32u + index);
}
