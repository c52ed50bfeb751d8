// What becomes of a row's sum: `finish`, and it is stored.
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [n]

fn keep(local: u32, row: u32, sum: f32, inside: bool) {
    if inside {
        y[row] = finish(sum, 0u, row);
    }
}

fn settle(lane: u32, group: u32) {}
