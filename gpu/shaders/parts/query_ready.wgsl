// Queries are normed and rotated, and keys and values appended, by kernels before.
@group(0) @binding(1) var<storage, read> q: array<f32>; // [H, E]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

fn prepare(lane: u32, first_head: u32, count: u32, kv_head: u32, appends: bool) {
    for (var e = lane; e < E; e += LANES * TEAMS) {
        var value = vec4<f32>();
        for (var h = 0u; h < 4u; h++) {
            value[h] = select(0.0, q[(first_head + min(h, count - 1u)) * E + e], h < count);
        }
        query[e] = value * params.scale;
    }
    workgroupBarrier();
}
