// y = f · (Q x, K x, V x): the projections of attention of one token by integer dot products.
//
//   x [k]                    packed as part `pack_acts` says
//   Q [n_q, k], K, V [n_k, k] two weights of 4 or 8 bits at a time
//   f                        1, or the factor 1 / √(mean(x²) + eps) of the RMS norm whose weight is in x
//   y [n_q + 2 n_k]          f32
//
// grid   [ceil(n_q / ROWS) + 2 ceil(n_k / ROWS), 1, 1], ROWS = 2 TEAMS / SHARE: LANES · SHARE lanes share two rows
// parts  dots (q4 | q8), source_three, team (subgroup | shared)
// cost   reads the bytes of the weights once: memory-bound
override LANES: u32 = 32u; // of a team: the subgroup's size, or any power of two
override TEAMS: u32 = 8u;  // of a workgroup
override SHARE: u32 = 2u;  // teams that share rows
struct Params {
    n_q: u32,
    n_k: u32,
    k: u32,
    groups: u32, // of 32 values in x
    has_norm: u32,
    eps: f32,
    pad0: u32,
    pad1: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> acts: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
// Group 1 is declared by part `source_three`.

@compute @workgroup_size(LANES * TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let rows = 2u * (TEAMS / SHARE);
    let of_q = (params.n_q + rows - 1u) / rows;
    let of_k = (params.n_k + rows - 1u) / rows;
    var index = group.x;
    var n = params.n_q;
    var offset = 0u;
    source = 0u;
    if index >= of_q {
        source = 1u + (index - of_q) / of_k;
        index = (index - of_q) % of_k;
        n = params.n_k;
        offset = params.n_q + (source - 1u) * params.n_k;
    }
    let place = lane % (LANES * SHARE);
    let row = index * rows + 2u * (lane / (LANES * SHARE));
    let total = near_sum(lane, row_dots(min(row, n - 1u), min(row + 1u, n - 1u), place, LANES * SHARE), SHARE);
    let factor = select(1.0, 1.0 / sqrt(total.z / f32(params.k) + params.eps), params.has_norm != 0u);
    if place < 2u && row + place < n {
        y[offset + row + place] = select(total.x, total.y, place == 1u) * factor;
    }
}
