// Keys and values of f16, as f16.
// needs  f16
@group(1) @binding(0) var<storage, read> keys: array<vec4<f16>>;
@group(1) @binding(1) var<storage, read> values: array<vec4<f16>>;
alias Raw = vec4<f16>;

fn half_of(raw: Raw) -> vec4<f16> {
    return raw;
}
