// The integer nearest to |v| / t, ties to even, exact however a driver divides: an estimate at most 1 off is put right
// by comparing with products that f32 holds exactly. Above 130 the result is some number above 129. For t = 0 it is
// meaningless, but finite. The formula is that of weights/quant.rs.
fn nearest_multiple(v: f32, t: f32) -> f32 {
    let size = abs(v);
    let step = max(t, 5.960464477539063e-08); // 2^-24, the smallest f16
    let estimate = floor(min(size * (1.0 / step), 130.0) + 0.5);
    let odd = (u32(estimate) & 1u) == 1u;
    let above = (estimate + 0.5) * step;
    let below = (estimate - 0.5) * step;
    var result = estimate;
    if size > above || (size == above && odd) {
        result = estimate + 1.0;
    } else if size < below || (size == below && odd) {
        result = estimate - 1.0;
    }
    return result;
}
