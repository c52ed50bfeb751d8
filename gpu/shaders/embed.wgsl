// y[t] = W[ids[t]] for ids in this part of the table; with `fill`, zeros for the others.
//
//   ids [T]          u32
//   W   [n_rows, d]  rows first_row .. of the table, in the format of part `weight`
//   y   [T, d]       f32
//
// grid   [min(ceil(T ceil(d/4) / WG), 65535), …, 1]: a lane four values
// parts  weight (f32 | f16 | q8 | q4), fold
// cost   T rows of W, and y: memory-bound
override WG: u32 = 64u;
struct Params { n4: u32, d: u32, row4: u32, first_row: u32, n_rows: u32, fill: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
// Group 1 is declared by part `weight`.

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n4 {
        let d4 = (params.d + 3u) / 4u;
        let t = i / d4;
        let column4 = i % d4;
        let id = ids[t];
        let inside = id >= params.first_row && id - params.first_row < params.n_rows;
        if inside || params.fill != 0u {
            let row = select(0u, id - params.first_row, inside);
            let value = select(vec4<f32>(), weight4(row * params.row4 + column4), inside);
            for (var c = 0u; c < 4u; c++) {
                if column4 * 4u + c < params.d {
                    y[t * params.d + column4 * 4u + c] = value[c];
                }
            }
        }
    }
}
