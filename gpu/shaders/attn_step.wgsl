// What attention of one token needs of the step, once for all layers: how many keys there are, and how its position turns.
//
//   turns [P, F]   (cos, sin) f32
//   map   [E / 2]  u32, axis << 16 | frequency
//   pos   [A]      u32
//   state          u32 words; kv_len, n_tokens
//   step  [E / 2 + 1] pairs of words: (keys, 1 if the newest token is appended), then (cos, sin) of each pair of a head
//
// grid   [1, 1, 1]
// cost   bound by its launch
override WG: u32 = 64u;
struct Params { half: u32, f: u32, s: u32, pad: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> turns: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> map: array<u32>;
@group(0) @binding(3) var<storage, read> pos: array<u32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> step: array<vec2<u32>>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
    let fed = min(state[1], 1u);
    if lane == 0u {
        step[0] = vec2<u32>(min(state[0] + fed, params.s), fed);
    }
    for (var j = lane; j < params.half; j += WG) {
        step[1u + j] = bitcast<vec2<u32>>(turns[pos[map[j] >> 16u] * params.f + (map[j] & 0xffffu)]);
    }
}
