// Queries are normed and rotated, and keys and values appended, by kernels before.
@group(0) @binding(1) var<storage, read> q: array<f32>; // [H, E]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;
@group(1) @binding(3) var<storage, read> state: array<u32>; // kv_len, n_tokens, …

// How many keys there are, and whether the newest is appended here.
fn keys_of_step() -> vec2<u32> {
    return vec2<u32>(min(state[0] + min(state[1], 1u), params.s), 0u);
}

// Fills `spill` with heads, and `factors`.
fn prepare(lane: u32, first_head: u32, count: u32, kv_head: u32, appends: bool) {
    for (var i = lane; i < count * E; i += LANES * TEAMS) {
        spill[i].x = q[first_head * E + i];
    }
    if lane < 4u {
        factors[lane] = params.scale;
    }
    workgroupBarrier();
}
