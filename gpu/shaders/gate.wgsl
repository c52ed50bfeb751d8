// Grids of the dispatches behind it: as planned, or nothing where the answer is done.
//
//   planned [n] u32, three words a dispatch
//   state       u32 words; kv_len, n_tokens
//   grids   [n] u32, what the dispatches are launched with
//
// grid   [1, 1, 1]
// cost   bound by its launch
override WG: u32 = 64u;
struct Params { n: u32, pad0: u32, pad1: u32, pad2: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> planned: array<u32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> grids: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < params.n; i += WG) {
        grids[i] = select(planned[i], 0u, state[1] == 0u);
    }
}
