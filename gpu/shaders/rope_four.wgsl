// Half-split rotation of heads to f16, by the axis and frequency that `map` gives each pair; what f16 cannot hold becomes its
// largest number.
//
//   x     [T, H, E]  as part `vector` says, E % 8 == 0
//   y     [T, H, E]  f16
//   table [P, F]     (cos, sin) f32
//   map   [E / 2]    u32, axis << 16 | frequency
//   pos   [A, T]     u32
//
// grid   [min(ceil(T H E/8 / WG), 65535), …, 1]: a lane four pairs
// needs  f16
// parts  vector (f32 | f16), fold
// cost   moves 4 or 6 bytes an element, and the table's rows: memory-bound
override WG: u32 = 64u;
struct Params { n: u32, t: u32, h: u32, half4: u32, f: u32, pad0: u32, pad1: u32, pad2: u32 }
@group(0) @binding(0) var<uniform> params: Params;
// Binding 1 is declared by part `vector`.
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> map: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> pos: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f16>>;

fn turn_of(word: u32, t: u32) -> vec2<f32> {
    return table[pos[(word >> 16u) * params.t + t] * params.f + (word & 0xffffu)];
}

fn half_of(v: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n {
        let j = i % params.half4;
        let head = i / params.half4; // over T and H
        let t = head / params.h;
        let words = map[j];
        let first = turn_of(words.x, t);
        let second = turn_of(words.y, t);
        let third = turn_of(words.z, t);
        let fourth = turn_of(words.w, t);
        let cos4 = vec4<f32>(first.x, second.x, third.x, fourth.x);
        let sin4 = vec4<f32>(first.y, second.y, third.y, fourth.y);
        let low = head * 2u * params.half4 + j;
        let high = low + params.half4;
        let a = x4(low);
        let b = x4(high);
        y[low] = half_of(a * cos4 - b * sin4);
        y[high] = half_of(b * cos4 + a * sin4);
    }
}
