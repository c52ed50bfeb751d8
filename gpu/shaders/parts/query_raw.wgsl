// Queries and keys come from their projections: here they are normed by head and rotated, and the workgroup that has the
// newest token appends it to the cache. E <= LANES · TEAMS, and at most four query heads a kv head.
@group(0) @binding(1) var<storage, read> q: array<f32>;           // [H, E]
@group(0) @binding(2) var<storage, read> k: array<f32>;           // [K, E]
@group(0) @binding(3) var<storage, read> v: array<f32>;           // [K, E]
@group(0) @binding(4) var<storage, read> q_norm: array<f32>;      // [E]
@group(0) @binding(5) var<storage, read> k_norm: array<f32>;      // [E]
@group(0) @binding(6) var<storage, read> turns: array<vec2<f32>>; // [P, F] (cos, sin)
@group(0) @binding(7) var<storage, read> map: array<u32>;         // [E / 2] axis << 16 | frequency
@group(0) @binding(8) var<storage, read> pos: array<u32>;         // [A]
@group(0) @binding(9) var<storage, read_write> partial: array<f32>;
var<workgroup> new_key: array<f32, E>;

fn prepare(lane: u32, first_head: u32, count: u32, kv_head: u32, appends: bool) {
    let e = min(lane, E - 1u);
    let inside = lane < E;
    // The rotation's partner, and its sign: low halves take −sin of the high ones.
    let half = E / 2u;
    let is_low = e < half;
    let partner = select(e - half, e + half, is_low);
    let pair = map[e % half];
    let turn = turns[pos[pair >> 16u] * params.f + (pair & 0xffffu)];
    let sine = select(turn.y, -turn.y, is_low);

    var value = vec4<f32>();
    for (var h = 0u; h < 4u; h++) {
        value[h] = select(0.0, q[(first_head + min(h, count - 1u)) * E + e], inside && h < count);
    }
    let squares = near_sum(lane, value * value, TEAMS);
    value *= q_norm[e] / sqrt(squares / f32(E) + params.eps_q);
    if inside {
        query[e] = value;
    }
    workgroupBarrier();
    value = (value * turn.x + query[partner] * sine) * params.scale;
    workgroupBarrier();
    if inside {
        query[e] = value;
    }
    if appends {
        var key = select(0.0, k[kv_head * E + e], inside);
        let square = near_sum(lane, vec4<f32>(key * key, 0.0, 0.0, 0.0), TEAMS).x;
        key *= k_norm[e] / sqrt(square / f32(E) + params.eps_k);
        if inside {
            new_key[e] = key;
        }
        workgroupBarrier();
        key = key * turn.x + new_key[partner] * sine;
        workgroupBarrier();
        if inside {
            new_key[e] = key;
        }
        workgroupBarrier();
        if lane < E / 8u {
            let i = 8u * lane;
            let low = vec4<f32>(new_key[i], new_key[i + 1u], new_key[i + 2u], new_key[i + 3u]);
            let high = vec4<f32>(new_key[i + 4u], new_key[i + 5u], new_key[i + 6u], new_key[i + 7u]);
            let j = kv_head * E + i;
            let v_low = vec4<f32>(v[j], v[j + 1u], v[j + 2u], v[j + 3u]);
            let v_high = vec4<f32>(v[j + 4u], v[j + 5u], v[j + 6u], v[j + 7u]);
            store8(key_base(state[0], kv_head) + lane, Eight(low, high), Eight(v_low, v_high));
        }
        storageBarrier();
    }
    workgroupBarrier();
}
