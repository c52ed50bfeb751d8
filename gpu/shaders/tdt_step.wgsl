// The next token and its duration from the logits; moves the transducer's state on. See `TdtState` for the steps.
//
//   logits    [v + 1 + n] f32: tokens, blank, durations
//   durations [n] u32
//   ids       [1] u32
//   ring      [ring_len, 5] u32
//
// grid   [1, 1, 1]: one workgroup
// parts  reduce
// cost   reads the logits twice: latency-bound
override WG: u32 = 256u; // a power of two
struct Params { n_tokens: u32, n_durations: u32, max_symbols: u32, ring_len: u32 }
struct State { frame: u32, end: u32, fed: u32, step: u32, run: u32, run_frame: u32, done: u32, last_id: u32 }
@group(0) @binding(0) var<uniform> params: Params; // n_tokens counts blank, which is the last
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> durations: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: State;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> ring: array<u32>;
var<workgroup> scratch: array<f32, WG>; // for part `reduce`
var<workgroup> best: array<u32, WG>;
var<workgroup> is_done: u32;
const LOWEST: f32 = -3.0e38;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
    if lane == 0u {
        is_done = state.done;
        if state.done != 0u {
            state.fed = 0u;
        }
    }
    if workgroupUniformLoad(&is_done) != 0u {
        return;
    }
    let token = largest(lane, 0u, params.n_tokens);
    let top = scratch[0];
    let duration_idx = largest(lane, params.n_tokens, params.n_durations) - params.n_tokens;
    var sum = 0.0;
    for (var i = lane; i < params.n_tokens; i += WG) {
        sum += exp(logits[i] - top);
    }
    let log_total = log(reduce_sum(lane, sum));
    if lane == 0u {
        advance(token, durations[duration_idx], -log_total);
    }
}

// The index of the largest of `n` logits from `first` on, the lowest on a tie; leaves the largest in scratch[0].
fn largest(lane: u32, first: u32, n: u32) -> u32 {
    var top = LOWEST;
    var at = first;
    for (var i = lane; i < n; i += WG) {
        let better = logits[first + i] > top;
        top = select(top, logits[first + i], better);
        at = select(at, first + i, better);
    }
    workgroupBarrier();
    scratch[lane] = top;
    best[lane] = at;
    for (var width = WG / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            let other = scratch[lane + width];
            let other_at = best[lane + width];
            if other > scratch[lane] || (other == scratch[lane] && other_at < best[lane]) {
                scratch[lane] = other;
                best[lane] = other_at;
            }
        }
    }
    workgroupBarrier();
    return best[0];
}

fn advance(token: u32, duration: u32, log_probability: f32) {
    let frame = state.frame;
    if token + 1u == params.n_tokens {
        state.frame = frame + max(duration, 1u);
        state.fed = 0u;
    } else {
        let run = select(0u, state.run, frame == state.run_frame) + 1u;
        state.run = run;
        state.run_frame = frame;
        state.frame = frame + duration + select(0u, 1u, duration == 0u && run >= params.max_symbols);
        state.fed = 1u;
        state.last_id = token;
        ids[0] = token;
    }
    let slot = state.step % params.ring_len * 5u;
    ring[slot] = token;
    ring[slot + 1u] = frame;
    ring[slot + 2u] = duration;
    ring[slot + 3u] = state.frame;
    ring[slot + 4u] = bitcast<u32>(log_probability);
    state.step += 1u;
    state.done = select(0u, 1u, state.frame >= state.end);
}
