// Sums and maxima over the workgroup. The kernel declares `WG` (a power of two) and `scratch: array<f32, WG>`.
// Every lane calls these, in uniform control flow, and gets the result.
fn reduce_sum(lane: u32, value: f32) -> f32 {
    workgroupBarrier(); // the last reduction's result has been read
    scratch[lane] = value;
    for (var width = WG / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            scratch[lane] += scratch[lane + width];
        }
    }
    workgroupBarrier();
    return scratch[0];
}

fn reduce_max(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    scratch[lane] = value;
    for (var width = WG / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            scratch[lane] = max(scratch[lane], scratch[lane + width]);
        }
    }
    workgroupBarrier();
    return scratch[0];
}
