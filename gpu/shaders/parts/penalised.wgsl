// Logits after penalties (step 2 of src/sampler.rs), and which is the largest. The kernel declares `logits`, `seen` and `sampling`,
// its `Params` has `v`, and `scratch` is that of part `reduce`.
const LOWEST: f32 = -3.0e38; // stands for ids beyond the vocabulary; its exponential is 0 beside any other
var<workgroup> best_id: array<u32, WG>;

struct Best { logit: f32, id: u32 }

// The logits of ids 4i .. 4i + 4 after penalties.
fn penalised4(i: u32) -> vec4<f32> {
    let l = logits[i];
    let bent = select(l * sampling.repetition_penalty, l / sampling.repetition_penalty, l > vec4<f32>());
    let both = select(l, bent - sampling.presence_penalty, seen[i] > vec4<u32>());
    let id = 4u * i + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(LOWEST), both, id < vec4<u32>(params.v));
}

// The largest of what the lanes have found, the lowest id on a tie; all lanes hear of it.
fn best_of_lanes(lane: u32, mine: Best) -> Best {
    scratch[lane] = mine.logit;
    best_id[lane] = mine.id;
    for (var width = WG / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            let other = scratch[lane + width];
            let other_id = best_id[lane + width];
            if other > scratch[lane] || (other == scratch[lane] && other_id < best_id[lane]) {
                scratch[lane] = other;
                best_id[lane] = other_id;
            }
        }
    }
    workgroupBarrier();
    return Best(scratch[0], best_id[0]);
}
