// Chooses the next token from the logits and moves the state on; the formula is that of src/sampler.rs.
//
//   logits   [1, V]        f32
//   sampling               words of `SamplingWords`
//   state                  words of `State`, changed
//   seen     [V]           u32, changed
//   ids      [1]           u32, written
//   pos      [3, 1]        u32, written
//   ring     [ring_len, 2] u32, one entry written
//   runs     [n_runs]      as `sample_scan` leaves them
//
// grid   [1, 1, 1]: one workgroup walks the vocabulary
// parts  reduce, penalised
// cost   greedy: the runs; drawing: the logits a few times, and for top-k and top-p eight times more each (a threshold is
//        found four bits at a time)
//
// Ids are walked four at a time: fewer rounds of waiting for memory, and Mesa's llvmpipe ends any invocation's loops
// after 65,535 rounds in all, without a word.
override WG: u32 = 256u; // a power of two
struct Params { v: u32, ring_len: u32, n_runs: u32, pad: u32 }
struct Sampling {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    presence_penalty: f32,
    n_stop: u32,
    pad: u32,
    stop: array<u32, 8>,
}
struct State {
    kv_len: u32,
    n_tokens: u32,
    position: u32,
    done: u32,
    step: u32,
    max_steps: u32,
    seed0: u32,
    seed1: u32,
    last_id: u32,
    think_left: u32,
    think_end: u32,
    pad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sampling: Sampling;
@group(0) @binding(3) var<storage, read> runs: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> state: State;
@group(0) @binding(5) var<storage, read_write> seen: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> ids: array<u32>;
@group(0) @binding(7) var<storage, read_write> pos: array<u32>;
@group(0) @binding(8) var<storage, read_write> ring: array<vec2<u32>>;
const NO_THOUGHT: u32 = 0xffffffffu;
var<workgroup> scratch: array<f32, WG>; // for part `reduce`
var<workgroup> scratch4: array<vec4<f32>, WG>;
var<workgroup> n_fed: u32;

fn penalised(i: u32) -> f32 {
    return penalised4(i / 4u)[i % 4u];
}

// The same after the temperature.
fn heated4(i: u32) -> vec4<f32> {
    return max(penalised4(i) / sampling.temperature, vec4<f32>(LOWEST));
}

// Unsigned integers in the order of the floats.
fn key_of(x: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(x);
    return select(bits | vec4<u32>(0x80000000u), ~bits, bits >= vec4<u32>(0x80000000u));
}

fn pcg(input: u32) -> u32 {
    let state = input * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// How many ids, or what weight, have at least this key (of l' = l / temperature).
fn mass_from(lane: u32, key: u32, top: f32, weighted: bool) -> f32 {
    var mass = 0.0;
    for (var i = lane; i * 4u < params.v; i += WG) {
        let l = heated4(i);
        let inside = l > vec4<f32>(LOWEST);
        let one = select(select(vec4<f32>(), vec4<f32>(1.0), inside), exp(l - top), weighted);
        mass += dot(select(vec4<f32>(), one, key_of(l) >= vec4<u32>(key)), vec4<f32>(1.0));
    }
    return reduce_sum(lane, mass);
}

fn reduce4(lane: u32, value: vec4<f32>) -> vec4<f32> {
    workgroupBarrier();
    scratch4[lane] = value;
    for (var width = WG / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            scratch4[lane] += scratch4[lane + width];
        }
    }
    workgroupBarrier();
    return scratch4[0];
}

// The largest key from which on there is at least `needed` mass, among keys from `lowest` on: four bits a walk, by the
// masses of all sixteen ways to go on. (`key | 0` always has enough.)
fn key_with(lane: u32, needed: f32, lowest: u32, top: f32, weighted: bool) -> u32 {
    var key = 0u;
    for (var bits = 32u; bits > 0u; bits -= 4u) {
        let digit = vec4<u32>(0u, 1u, 2u, 3u);
        //% let DIGITS = 4
        //% for d in DIGITS
        let from$d = max(vec4<u32>(key) | ((digit + 4u * $du) << vec4<u32>(bits - 4u)), vec4<u32>(lowest));
        var mass$d = vec4<f32>();
        //% end
        for (var i = lane; i * 4u < params.v; i += WG) {
            let l = heated4(i);
            let inside = l > vec4<f32>(LOWEST);
            let one = select(select(vec4<f32>(), vec4<f32>(1.0), inside), exp(l - top), weighted);
            let keys = key_of(l);
            //% let COMPONENTS = 4
            //% for c in COMPONENTS
            //% for d in DIGITS
            mass$d += select(vec4<f32>(), vec4<f32>(one[$c]), vec4<u32>(keys[$c]) >= from$d);
            //% end
            //% end
        }
        var enough = vec4<u32>();
        //% for d in DIGITS
        enough += select(vec4<u32>(), vec4<u32>(1u), reduce4(lane, mass$d) >= vec4<f32>(needed));
        //% end
        let n_enough = enough.x + enough.y + enough.z + enough.w;
        key |= (max(n_enough, 1u) - 1u) << (bits - 4u);
    }
    return clamp(key, lowest, key_of(vec4<f32>(top)).x);
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
    if lane == 0u {
        n_fed = state.n_tokens;
    }
    if workgroupUniformLoad(&n_fed) == 0u {
        return;
    }

    // The largest logit, the lowest id on a tie; and what the log-probability needs.
    var top = LOWEST;
    var top_id = 0u;
    for (var i = lane; i < params.n_runs; i += WG) {
        let l = bitcast<f32>(runs[i].x);
        top_id = select(top_id, runs[i].y, l > top);
        top = select(top, l, l > top);
    }
    let best = best_of_lanes(lane, Best(top, top_id));
    top = best.logit;
    top_id = best.id;
    var sum = 0.0;
    for (var i = lane; i < params.n_runs; i += WG) {
        sum += exp(bitcast<f32>(runs[i].x) - top) * bitcast<f32>(runs[i].z);
    }
    let log_total = log(reduce_sum(lane, sum));

    var id = top_id;
    if sampling.temperature > 0.0 {
        let hot = top / sampling.temperature;
        var key = 0u;
        if sampling.top_k > 0u && sampling.top_k < params.v {
            key = key_with(lane, f32(sampling.top_k), key, hot, false);
        }
        if sampling.top_p < 1.0 {
            let needed = sampling.top_p * mass_from(lane, key, hot, true);
            key = key_with(lane, needed, key, hot, true);
        }
        // Each lane sums a run of ids; lane 0 finds the run and walks it.
        let run = ((params.v + 3u) / 4u + WG - 1u) / WG;
        var mass = 0.0;
        for (var i = lane * run; i < lane * run + run; i++) {
            mass += dot(kept4(i, key, hot), vec4<f32>(1.0));
        }
        workgroupBarrier();
        scratch[lane] = mass;
        workgroupBarrier();
        if lane == 0u {
            id = draw(key, hot, run);
        }
    }

    if lane == 0u {
        advance(id, top, log_total);
    }
}

// The weights of ids 4i .. 4i + 4 that are left after top-k, top-p and min-p; 0 of those that are not.
fn kept4(i: u32, key: u32, hot: f32) -> vec4<f32> {
    if i * 4u >= params.v {
        return vec4<f32>();
    }
    let l = heated4(i);
    let weight = exp(l - hot);
    let kept = (key_of(l) >= vec4<u32>(key)) & (weight >= vec4<f32>(sampling.min_p));
    return select(vec4<f32>(), weight, kept);
}

// Walks the ids upwards until their weight exceeds u · total; `scratch` has the weights of the runs.
fn draw(key: u32, hot: f32, run: u32) -> u32 {
    var total = 0.0;
    for (var j = 0u; j < WG; j++) {
        total += scratch[j];
    }
    let hash = pcg(state.seed0 ^ pcg(state.seed1 ^ pcg(state.step)));
    let target_mass = f32(hash >> 8u) / 16777216.0 * total;
    var before = 0.0;
    var j = 0u;
    while j + 1u < WG && before + scratch[j] <= target_mass {
        before += scratch[j];
        j++;
    }
    // Rounding may leave the walk short of the target: then the last id that was kept.
    var id = 0u;
    for (var i = j * run; i < j * run + run; i++) {
        let weights = kept4(i, key, hot);
        for (var c = 0u; c < 4u; c++) {
            if weights[c] > 0.0 && before <= target_mass {
                id = 4u * i + c;
            }
            before += weights[c];
        }
    }
    return id;
}

// Steps 4 to 6, by one lane.
fn advance(chosen: u32, top: f32, log_total: f32) {
    var id = chosen;
    if state.think_left != NO_THOUGHT {
        if state.think_left == 0u {
            id = state.think_end;
        }
        state.think_left = select(state.think_left - 1u, NO_THOUGHT, id == state.think_end);
    }
    let log_probability = penalised(min(id, params.v - 1u)) - top - log_total;
    if id < params.v {
        seen[id / 4u][id % 4u] += 1u;
    }
    ring[state.step % params.ring_len] = vec2<u32>(id, bitcast<u32>(log_probability));
    ids[0] = id;
    pos[0] = state.position;
    pos[1] = state.position;
    pos[2] = state.position;
    state.kv_len += state.n_tokens;
    state.position += 1u;
    state.step += 1u;
    state.last_id = id;
    var done = state.step >= state.max_steps;
    for (var i = 0u; i < min(sampling.n_stop, 8u); i++) {
        done = done || sampling.stop[i] == id;
    }
    state.done = select(0u, 1u, done);
    state.n_tokens = select(1u, 0u, done);
}
