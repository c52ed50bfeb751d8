// h = silu(f · G x) · (f · U x): gate, up and SwiGLU of one token by integer dot products, packed for the next layer.
//
//   x [k]           packed as part `pack_acts` says
//   G, U [n_rows, k] rows first_row .. (a multiple of 32) of the matrices, of 4 or 8 bits
//   f               1, or the factor 1 / √(mean(x²) + eps) of the RMS norm whose weight is in x
//   h [n]           packed
//
// grid   [ceil(n_rows / 32), 1, 1], 32 = TURNS TEAMS / SHARE: LANES · SHARE lanes share a row of both
// parts  dots (q4 | q8), source_two, team (subgroup | shared), pack_near
// cost   reads the bytes of G and U once: memory-bound
override LANES: u32 = 32u; // of a team: the subgroup's size, or any power of two
override TEAMS: u32 = 8u;  // of a workgroup
override SHARE: u32 = 1u;  // teams that share rows
override TURNS: u32 = 4u; // rounds of rows
struct Params {
    n: u32,
    k: u32,
    n_rows: u32,
    first_row: u32,
    groups: u32, // of 32 values in x
    has_norm: u32,
    eps: f32,
    order: u32, // of what is packed
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> acts: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> acts_out: array<u32>; // [n]
// Group 1 is declared by part `source_two`.
var<workgroup> kept: array<f32, 32>;

@compute @workgroup_size(LANES * TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = lane % (LANES * SHARE);
    for (var turn = 0u; turn < TURNS; turn++) {
        let local = turn * (TEAMS / SHARE) + lane / (LANES * SHARE);
        let row = group.x * 32u + local;
        let inside = row < params.n_rows;
        let within = min(row, params.n_rows - 1u);
        let total = near_sum(lane, row_dots(within, within, place, LANES * SHARE), SHARE);
        let factor = select(1.0, 1.0 / sqrt(total.z / f32(params.k) + params.eps), params.has_norm != 0u);
        if place == 0u {
            let gate = total.x * factor;
            // exp is kept finite: beyond it the result is 0 to f32 anyway.
            let h = gate / (1.0 + exp(clamp(-gate, -80.0, 80.0))) * (total.y * factor);
            kept[local] = select(0.0, h, inside);
        }
    }
    workgroupBarrier();
    let h = select(0.0, kept[lane % 32u], lane < 32u);
    pack_acts(lane, h, 0.0, params.first_row / 32u + group.x, (params.n + 31u) / 32u, params.order);
}
