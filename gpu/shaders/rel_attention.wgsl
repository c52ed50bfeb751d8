// Attention in which every query sees every key that counts, with a term for their distance.
//
//   q, k, values, y [t, heads, 4 E4] f32
//   r               [2 t - 1, heads, 4 E4] f32; row 0 is the distance t - 1
//   u, v            [heads, 4 E4] f32
//   lengths         [4] u32: lengths[level] keys count
//
// score(i, j) = ((q_i + u) · k_j + (q_i + v) · r[t - 1 - i + j]) · scale, softmax over j as it goes along.
// A workgroup has 16 queries of a head and walks the keys 48 at a time. Its 63 distances are one row of r a lane, whose
// products with all 16 queries go through workgroup memory to the lane that has the key.
//
// grid   [ceil(t / 16), heads, 1]
// cost   reads k, r and values once for 16 queries: bound by arithmetic in f32
override E4: u32 = 16u;
struct Params { t: u32, heads: u32, level: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> values: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> r: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> u: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> lengths: array<u32>;
@group(0) @binding(8) var<storage, read_write> y: array<vec4<f32>>;
const LANES: u32 = 64u;
const QUERIES: u32 = 16u;
const KEYS: u32 = 48u;
const LOWEST: f32 = -3.0e38; // stands for keys that do not count
override SIZE: u32 = 16u * E4;
var<workgroup> tile: array<vec4<f32>, SIZE>;       // queries
var<workgroup> grid: array<f32, 1024>;              // [16, 64]: distances, then scores, then weights
var<workgroup> lane_max: array<f32, 64>;
var<workgroup> lane_sum: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = group.x * QUERIES;
    let head = group.y;
    let n_keys = min(params.t, lengths[params.level]);
    for (var i = lane; i < SIZE; i += LANES) {
        let row = min(first + i / E4, params.t - 1u);
        tile[i] = q[(row * params.heads + head) * E4 + i % E4];
    }
    // A lane has a quarter of a query's output, in turns of four vectors.
    let mine = lane / 4u;
    let quarter = lane % 4u;
    var out: array<vec4<f32>, 8>;
    var top = LOWEST;
    var total = 0.0;
    var n_tiles = (n_keys + KEYS - 1u) / KEYS;
    for (var step = 0u; step < n_tiles; step++) {
        let first_key = step * KEYS;
        workgroupBarrier();
        // The distance row of this lane: key - query = lane - 15 from the tile's corner.
        let corner = params.t - 1u + first_key + lane;
        let far = select(0u, corner - (first + QUERIES - 1u), corner >= first + QUERIES - 1u);
        let distance = min(far, 2u * params.t - 2u);
        var along = dots(true, (distance * params.heads + head) * E4, head * E4);
        for (var i = 0u; i < QUERIES; i++) {
            grid[i * LANES + lane] = along[i];
        }
        workgroupBarrier();
        let key = min(first_key + lane, params.t - 1u);
        var scores = dots(false, (key * params.heads + head) * E4, head * E4);
        let counts = lane < KEYS && first_key + lane < n_keys;
        for (var i = 0u; i < QUERIES; i++) {
            let at = min(lane + QUERIES - 1u - i, LANES - 1u);
            scores[i] = select(LOWEST, (scores[i] + grid[i * LANES + at]) * params.scale, counts);
        }
        workgroupBarrier();
        for (var i = 0u; i < QUERIES; i++) {
            grid[i * LANES + lane] = scores[i];
        }
        workgroupBarrier();
        var highest = LOWEST;
        for (var j = quarter; j < KEYS; j += 4u) {
            highest = max(highest, grid[mine * LANES + j]);
        }
        lane_max[lane] = highest;
        workgroupBarrier();
        let four = mine * 4u;
        highest = max(max(lane_max[four], lane_max[four + 1u]), max(lane_max[four + 2u], lane_max[four + 3u]));
        let before = top;
        top = max(top, highest);
        var sum = 0.0;
        for (var j = quarter; j < KEYS; j += 4u) {
            let score = grid[mine * LANES + j];
            let weight = select(0.0, exp(score - top), score > LOWEST);
            grid[mine * LANES + j] = weight;
            sum += weight;
        }
        lane_sum[lane] = sum;
        workgroupBarrier();
        let shrink = exp(max(before - top, -80.0)) * select(0.0, 1.0, before > LOWEST);
        total = total * shrink + lane_sum[four] + lane_sum[four + 1u] + lane_sum[four + 2u] + lane_sum[four + 3u];
        for (var m = 0u; m < 8u; m++) {
            out[m] *= shrink;
        }
        let here = min(KEYS, n_keys - first_key);
        for (var j = 0u; j < here; j++) {
            let weight = grid[mine * LANES + j];
            let base = ((first_key + j) * params.heads + head) * E4;
            for (var m = 0u; m < 8u; m++) {
                let e = 4u * m + quarter;
                if e < E4 {
                    out[m] += weight * values[base + e];
                }
            }
        }
    }
    let row = first + mine;
    if row < params.t {
        for (var m = 0u; m < 8u; m++) {
            let e = 4u * m + quarter;
            if e < E4 {
                y[(row * params.heads + head) * E4 + e] = select(vec4<f32>(), out[m] / total, total > 0.0);
            }
        }
    }
}

// (query + bias) · row for all queries of the tile; the row is of r and the bias v, or of k and u.
fn dots(is_distance: bool, row: u32, bias: u32) -> array<f32, 16> {
    var sums: array<f32, 16>;
    for (var e = 0u; e < E4; e++) {
        var x: vec4<f32>;
        var own: vec4<f32>;
        if is_distance {
            x = r[row + e];
            own = v[bias + e];
        } else {
            x = k[row + e];
            own = u[bias + e];
        }
        for (var i = 0u; i < QUERIES; i++) {
            sums[i] += dot(tile[i * E4 + e] + own, x);
        }
    }
    return sums;
}
