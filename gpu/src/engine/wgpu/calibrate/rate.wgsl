// Multiplies with adds of the types `Real` and `Four`, which the engine declares: turns × 16 × 4 of them a lane. How many turns is
// read from y, so that no driver unrolls them: compiling that takes seconds.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = Four(y[0]) + Real(id.x & 7u);
    let k = Four(y[1]);
    let turns = bitcast<u32>(y[3].x);
    var a = x;
    var b = x + 1.0;
    var c = x + 2.0;
    var d = x + 3.0;
    var e = x + 4.0;
    var f = x + 5.0;
    var g = x + 6.0;
    var h = x + 7.0;
    for (var i = 0u; i < turns; i++) {
        a = fma(a, x, k);
        b = fma(b, x, k);
        c = fma(c, x, k);
        d = fma(d, x, k);
        e = fma(e, x, k);
        f = fma(f, x, k);
        g = fma(g, x, k);
        h = fma(h, x, k);
        a = fma(a, x, k);
        b = fma(b, x, k);
        c = fma(c, x, k);
        d = fma(d, x, k);
        e = fma(e, x, k);
        f = fma(f, x, k);
        g = fma(g, x, k);
        h = fma(h, x, k);
    }
    let sum = (a + b) + (c + d) + (e + f) + (g + h);
    if f32(sum.x) == 123.456 {
        y[2] = vec4<f32>(sum);
    }
}
