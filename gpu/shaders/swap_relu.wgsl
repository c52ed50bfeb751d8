// y[t, c, f] = max(x[t, f, c], 0) in rows that count, else 0.
//
//   x       [t, f, c] f32
//   lengths [4] u32: lengths[level] rows count
//   y       [t, c, f] f32
//
// grid   [min(ceil(n / WG), 65535), …, 1]: a lane an output
// parts  fold
// cost   moves 8 bytes an element, reads in strides of c: memory-bound, and small
override WG: u32 = 64u;
struct Params { f: u32, c: u32, level: u32, n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = workgroup_index(group) * WG + lane;
    if at >= params.n {
        return;
    }
    let f = at % params.f;
    let c = at / params.f % params.c;
    let t = at / (params.f * params.c);
    y[at] = select(0.0, max(x[(t * params.f + f) * params.c + c], 0.0), t < lengths[params.level]);
}
