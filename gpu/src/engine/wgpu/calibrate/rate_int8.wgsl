// Dot products of four bytes, added up: turns × 8 of them a lane, the turns as in `rate.wgsl`.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = bitcast<u32>(y[0].x) ^ id.x;
    let turns = bitcast<u32>(y[3].x);
    var a = 1;
    var b = 2;
    var c = 3;
    var d = 4;
    var e = 5;
    var f = 6;
    var g = 7;
    var h = 8;
    for (var i = 0u; i < turns; i++) {
        a += dot4I8Packed(bitcast<u32>(b), x);
        b += dot4I8Packed(bitcast<u32>(c), x);
        c += dot4I8Packed(bitcast<u32>(d), x);
        d += dot4I8Packed(bitcast<u32>(e), x);
        e += dot4I8Packed(bitcast<u32>(f), x);
        f += dot4I8Packed(bitcast<u32>(g), x);
        g += dot4I8Packed(bitcast<u32>(h), x);
        h += dot4I8Packed(bitcast<u32>(a), x);
    }
    let sum = (a + b) + (c + d) + (e + f) + (g + h);
    if sum == 123456789 {
        y[1] = vec4<f32>(f32(sum));
    }
}
