// Writes keys and values of new tokens into the cache, through the block table.
//
//   k, v  [T, row]  f32, row = K E, a multiple of 4
//   table [n_table] u32: block of the cache for each run of `block` tokens
//   state           u32 words; kv_len, n_tokens
//   cache           [n_blocks, block, row] in the format of part `store`
//
// grid   [min(ceil(T row / 4 / WG), 65535), …, 1]: a lane four values of both
// parts  store (f32 | f16), f16, fold
// cost   moves the new keys and values once
override WG: u32 = 64u;
struct Params { n4: u32, row4: u32, block: u32, n_table: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
// Group 1 is declared by part `store`.

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n4 {
        let t = i / params.row4;
        let token = state[0] + t;
        let slot = token / params.block;
        if t < state[1] && slot < params.n_table {
            let row = table[slot] * params.block + token % params.block;
            store4(row * params.row4 + i % params.row4, k[i], v[i]);
        }
    }
}
