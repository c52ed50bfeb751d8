// y = Σ over splits of exp(top − largest top) · sums, over the weights likewise: the splits of `attn_split` put together.
//
//   partial  as `attn_split` leaves it
//   y [H, E] as part `out` has it
//
// grid   [ceil(H E / 32), 1, 1]: a lane a value
// parts  out (acts | f32), splits
// cost   reads the splits that have keys: bound by its launch
struct Params { n: u32, e: u32, heads: u32, n_splits: u32, s: u32, order: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<u32>; // kv_len, n_tokens, …
// Binding 3 is declared by part `out`.

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n_keys = min(state[0] + min(state[1], 1u), params.s);
    let chunk = split_keys(n_keys, params.n_splits);
    let n_splits = (n_keys + chunk - 1u) / chunk;
    let i = group.x * 32u + lane;
    let within = min(i, params.n - 1u);
    let head = within / params.e;
    let first = head * params.n_splits;
    let tops = params.n * params.n_splits;
    var top = -3.0e38;
    var sum = 0.0;
    var weight = 0.0;
    for (var split = 0u; split < n_splits; split += 4u) {
        // Four splits are loaded before the first is used.
        //% let N = 4
        //% for u in N
        let row$u = first + min(split + $uu, n_splits - 1u);
        let top$u = partial[tops + 2u * row$u];
        let weight$u = partial[tops + 2u * row$u + 1u];
        let value$u = partial[row$u * params.e + within % params.e];
        //% end
        let peak = max(max(top, max(top0, top1)), max(top2, top3));
        let before = exp(top - peak);
        sum *= before;
        weight *= before;
        //% for u in N
        let factor$u = select(0.0, exp(top$u - peak), split + $uu < n_splits);
        sum += factor$u * value$u;
        weight += factor$u * weight$u;
        //% end
        top = peak;
    }
    let y = sum / select(1.0, weight, n_splits > 0u);
    put(lane, i, select(0.0, y, i < params.n));
}
