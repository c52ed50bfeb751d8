// Products of matrices of 16 × 16 in f16, summed in f32: turns × 8 of them a subgroup of 32 lanes, from
// registers; the turns as in `rate.wgsl`.
const ROW: u32 = 18u;
const SIDE: u32 = 20u;
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;
var<workgroup> tile: array<vec4<f16>, 32u * ROW>;
var<workgroup> sums: array<f32, 8u * 16u * SIDE>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let x = vec4<f16>(y[0]);
    for (var i = lane; i < 32u * ROW; i += 256u) {
        tile[i] = x;
    }
    workgroupBarrier();
    let a0 = coopLoadT<coop_mat16x16<f16, A>>(&tile[0], ROW);
    let a1 = coopLoadT<coop_mat16x16<f16, A>>(&tile[4], ROW);
    let b0 = coopLoad<coop_mat16x16<f16, B>>(&tile[0], ROW);
    let b1 = coopLoad<coop_mat16x16<f16, B>>(&tile[4], ROW);
    var s0 = coop_mat16x16<f32, C>();
    var s1 = coop_mat16x16<f32, C>();
    var s2 = coop_mat16x16<f32, C>();
    var s3 = coop_mat16x16<f32, C>();
    let turns = bitcast<u32>(y[3].x);
    for (var i = 0u; i < turns; i++) {
        s0 = coopMultiplyAdd(a0, b0, s0);
        s1 = coopMultiplyAdd(a0, b1, s1);
        s2 = coopMultiplyAdd(a1, b0, s2);
        s3 = coopMultiplyAdd(a1, b1, s3);
        s0 = coopMultiplyAdd(a0, b0, s0);
        s1 = coopMultiplyAdd(a0, b1, s1);
        s2 = coopMultiplyAdd(a1, b0, s2);
        s3 = coopMultiplyAdd(a1, b1, s3);
    }
    let mine = lane / 32u * 16u * SIDE;
    var sum = 0.0;
    coopStoreT(s0, &sums[mine], SIDE);
    workgroupBarrier();
    sum += sums[lane];
    workgroupBarrier();
    coopStoreT(s1, &sums[mine], SIDE);
    workgroupBarrier();
    sum += sums[lane];
    workgroupBarrier();
    coopStoreT(s2, &sums[mine], SIDE);
    workgroupBarrier();
    sum += sums[lane];
    workgroupBarrier();
    coopStoreT(s3, &sums[mine], SIDE);
    workgroupBarrier();
    sum += sums[lane];
    if sum == 123.456 {
        y[1] = vec4<f32>(sum);
    }
}
