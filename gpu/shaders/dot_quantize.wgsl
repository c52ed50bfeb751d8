// Packs activations for `dot_matvec` and `dot_swiglu`: x, or x · weight before an RMS norm's factor.
//
//   x, weight [k]  f32
//   acts           packed as part `pack_acts` says
//
// grid   [ceil(k / 32 / PACKS), 1, 1]: 32 lanes a group
// parts  pack_acts
// cost   reads x once: bound by its launch
override PACKS: u32 = 2u; // groups a workgroup
struct Params { k: u32, has_norm: u32, order: u32, pad: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> acts_out: array<u32>;

@compute @workgroup_size(32u * PACKS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * 32u * PACKS + lane;
    let inside = i < params.k;
    let at = min(i, params.k - 1u);
    let value = select(0.0, x[at], inside);
    var weighted = value;
    if params.has_norm != 0u {
        weighted *= weight[at];
    }
    pack_acts(lane, weighted, value, i / 32u, (params.k + 31u) / 32u, params.order);
}
