// The result is packed for the linear layer behind.
// parts  pack_acts
@group(0) @binding(3) var<storage, read_write> acts_out: array<u32>;
const PACKS: u32 = 1u;

fn put(lane: u32, i: u32, value: f32) {
    pack_acts(lane, value, 0.0, i / 32u, (params.n + 31u) / 32u, params.order);
}
