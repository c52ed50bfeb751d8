// The largest logit of each run of the vocabulary, and the run's sum of exponentials; `sample` puts the runs together.
//
//   logits   [1, V]    f32
//   sampling           words of `SamplingWords`: the penalties
//   state              words of `State`: nothing is done if the answer is done
//   seen     [V]       u32
//   runs     [n_runs]  bits of the largest logit after penalties, its lowest id, bits of Σ exp(l − largest), 0
//
// grid   [n_runs, 1, 1]: a workgroup a run
// parts  reduce, penalised
// cost   reads the logits and their counts twice: memory-bound
override WG: u32 = 256u; // a power of two
struct Params { v: u32, n_runs: u32, pad0: u32, pad1: u32 }
struct Sampling { temperature: f32, top_k: u32, top_p: f32, min_p: f32, repetition_penalty: f32, presence_penalty: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sampling: Sampling;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read> seen: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> runs: array<vec4<u32>>;
var<workgroup> scratch: array<f32, WG>; // for part `reduce`

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if state[1] == 0u {
        return;
    }
    let n4 = (params.v + 3u) / 4u;
    let run = (n4 + params.n_runs - 1u) / params.n_runs;
    let end = min(group.x * run + run, n4);
    var top = LOWEST;
    var top_id = 0u;
    for (var i = group.x * run + lane; i < end; i += WG) {
        let l = penalised4(i);
        //% let N = 4
        //% for c in N
        top_id = select(top_id, 4u * i + $cu, l[$c] > top);
        top = select(top, l[$c], l[$c] > top);
        //% end
    }
    let best = best_of_lanes(lane, Best(top, top_id));
    top = best.logit;
    top_id = best.id;
    var sum = 0.0;
    for (var i = group.x * run + lane; i < end; i += WG) {
        sum += dot(exp(penalised4(i) - top), vec4<f32>(1.0));
    }
    let total = reduce_sum(lane, sum);
    if lane == 0u {
        runs[group.x] = vec4<u32>(bitcast<u32>(top), top_id, bitcast<u32>(total), 0u);
    }
}
