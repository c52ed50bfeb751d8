// Keys and values of a cache of f16, two values in a word.
// parts  places_paged
@group(1) @binding(0) var<storage, read> keys: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read> values: array<vec2<u32>>;

fn key4(i: u32) -> vec4<f32> {
    let words = keys[i];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn value4(i: u32) -> vec4<f32> {
    let words = values[i];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
