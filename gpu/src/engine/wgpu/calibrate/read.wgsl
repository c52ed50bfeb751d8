// Reads params.n vectors (a power of two) again and again, params.turns × 4 of them a lane: how fast memory is, or the cache
// that holds so much.
struct Params { mask: u32, turns: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let lanes = groups.x * 256u;
    // Not a whole turn further: a core must not find what it read before in a cache of its own.
    let step = lanes + 40960u;
    var at = id.x;
    var sum = vec4<u32>();
    for (var turn = 0u; turn < params.turns; turn++) {
        let a = x[at & params.mask];
        let b = x[(at + step) & params.mask];
        let c = x[(at + 2u * step) & params.mask];
        let d = x[(at + 3u * step) & params.mask];
        sum += (a ^ b) + (c ^ d);
        at += 4u * step;
    }
    if sum.x == 0x12345678u {
        y[0] = vec4<f32>(sum);
    }
}
