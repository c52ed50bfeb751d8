// Keys and values of f32, as f16; what f16 cannot hold becomes its largest number.
// needs  f16
@group(1) @binding(0) var<storage, read> keys: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read> values: array<vec4<f32>>;
alias Raw = vec4<f32>;

fn half_of(raw: Raw) -> vec4<f16> {
    return vec4<f16>(clamp(raw, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
}
