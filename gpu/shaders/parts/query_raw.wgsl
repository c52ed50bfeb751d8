// Queries and the newest key come from their projections: a team norms a head and rotates it, and the workgroup whose
// split ends with the newest token appends it to the cache. At most four query heads a kv head.
@group(0) @binding(1) var<storage, read> qkv: array<f32>;       // [H + 2 K, E]
@group(0) @binding(2) var<storage, read> q_norm: array<f32>;    // [E]
@group(0) @binding(3) var<storage, read> k_norm: array<f32>;    // [E]
@group(0) @binding(4) var<storage, read> step: array<vec2<u32>>; // as `attn_step` leaves it
@group(0) @binding(5) var<storage, read_write> partial: array<f32>;
var<workgroup> new_key: array<f32, E>;

// How many keys there are, and whether the newest is appended here.
fn keys_of_step() -> vec2<u32> {
    return step[0];
}

// Fills `spill` with heads, and `factors`. The norm's factor is the same for all values of a head, so it can come after the rotation.
fn prepare(lane: u32, first_head: u32, count: u32, kv_head: u32, appends: bool) {
    let half = E / 2u;
    // Jobs of the teams: query heads, then the key.
    for (var first = 0u; first < 5u; first += TEAMS) {
        let job = first + lane / LANES;
        let is_key = job == 4u;
        let base = select(first_head + min(job, count - 1u), params.heads + kv_head, is_key) * E;
        var squares = 0.0;
        for (var j = lane % LANES; j < half; j += LANES) {
            let both = vec2<f32>(qkv[base + j], qkv[base + half + j]);
            squares += dot(both, both);
            let of_q = vec2<f32>(q_norm[j], q_norm[half + j]);
            let of_k = vec2<f32>(k_norm[j], k_norm[half + j]);
            let x = both * select(of_q, of_k, is_key);
            let turn = bitcast<vec2<f32>>(step[1u + j]);
            let turned = vec2<f32>(x.x * turn.x - x.y * turn.y, x.y * turn.x + x.x * turn.y);
            if is_key {
                new_key[j] = turned.x;
                new_key[half + j] = turned.y;
            } else if job < count {
                spill[job * E + j].x = turned.x;
                spill[job * E + half + j].x = turned.y;
            }
        }
        let total = near_sum(lane, vec4<f32>(squares, 0.0, 0.0, 0.0), 1u).x;
        if lane % LANES == 0u && job < 5u {
            let eps = select(params.eps_q, params.eps_k, is_key);
            factors[job] = select(params.scale, 1.0, is_key) / sqrt(total / f32(E) + eps);
        }
    }
    workgroupBarrier();
    if appends {
        if lane < E / 8u {
            let i = 8u * lane;
            let key_low = vec4<f32>(new_key[i], new_key[i + 1u], new_key[i + 2u], new_key[i + 3u]);
            let key_high = vec4<f32>(new_key[i + 4u], new_key[i + 5u], new_key[i + 6u], new_key[i + 7u]);
            let j = (params.heads + params.kv_heads + kv_head) * E + i;
            let low = vec4<f32>(qkv[j], qkv[j + 1u], qkv[j + 2u], qkv[j + 3u]);
            let high = vec4<f32>(qkv[j + 4u], qkv[j + 5u], qkv[j + 6u], qkv[j + 7u]);
            let key = Eight(key_low * factors[4], key_high * factors[4]);
            store8(key_base(step[0].x - 1u, kv_head) + lane, key, Eight(low, high));
        }
        storageBarrier();
        workgroupBarrier();
    }
}
