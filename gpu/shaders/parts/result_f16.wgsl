// The result in f16; what f16 cannot hold becomes its largest number.
// needs  f16
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f16>>;

fn put4(i: u32, v: vec4<f32>) {
    y[i] = vec4<f16>(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
}
