// What becomes of a row's sum: `finish`, it is stored, and packed for the linear layers behind the RMS norm that follows,
// which take the norm's factor from the sums of squares. A workgroup has 32 rows.
// parts  pack_near
@group(0) @binding(4) var<storage, read> norm_weight: array<f32>;    // [n]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;        // [n]
@group(0) @binding(6) var<storage, read_write> acts_out: array<u32>; // packed, [n]
var<workgroup> kept: array<f32, 32>;

fn keep(local: u32, row: u32, sum: f32, inside: bool) {
    var value = 0.0;
    if inside {
        value = finish(sum, 0u, row);
        y[row] = value;
    }
    kept[local] = value;
}

fn settle(lane: u32, group: u32) {
    workgroupBarrier();
    let inside = lane < 32u;
    let x = select(0.0, kept[lane % 32u], inside);
    let row = min(group * 32u + lane % 32u, params.n - 1u);
    pack_acts(lane, x * norm_weight[row], x, group, (params.n + 31u) / 32u, params.order);
}
