// Raw values of f32, a word each.
@group(0) @binding(1) var<storage, read> src: array<u32>;

fn raw(i: u32) -> f32 {
    return bitcast<f32>(src[i]);
}
