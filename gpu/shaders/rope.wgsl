// Half-split rotation of heads, by the axis and frequency that `map` gives each pair.
//
//   x     [T, H, E]  f32
//   y     [T, H, E]  f32
//   table [P, F]     (cos, sin) f32
//   map   [E / 2]    u32, axis << 16 | frequency
//   pos   [A, T]     u32
//
// grid   [min(ceil(T H E/2 / WG), 65535), …, 1]: a lane a pair
// parts  fold
// cost   moves 8 bytes an element, and the table's rows: memory-bound
override WG: u32 = 64u;
struct Params { n: u32, t: u32, h: u32, half: u32, f: u32, pad0: u32, pad1: u32, pad2: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> map: array<u32>;
@group(0) @binding(4) var<storage, read> pos: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n {
        let j = i % params.half;
        let head = i / params.half; // over T and H
        let t = head / params.h;
        let axis = map[j] >> 16u;
        let frequency = map[j] & 0xffffu;
        let turn = table[pos[axis * params.t + t] * params.f + frequency];
        let low = head * 2u * params.half + j;
        let high = low + params.half;
        let a = x[low];
        let b = x[high];
        y[low] = a * turn.x - b * turn.y;
        y[high] = b * turn.x + a * turn.y;
    }
}
