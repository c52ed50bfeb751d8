// Rotated heads in f16; what f16 cannot hold becomes its largest number.
// needs  f16
@group(0) @binding(5) var<storage, read_write> y: array<f16>;

fn put(i: u32, v: f32) {
    y[i] = f16(clamp(v, -65504.0, 65504.0));
}
