// Pixels to patch vectors, (u8 - 127.5) / 127.5.
//
//   frames [n_frames, height, width, 3] u8, four in a word
//   y      [P, 3, 2, patch, patch]      f32; patches in merge blocks of 2 × 2 in raster order
//
// grid   [min(ceil(P 6 patch² / WG), 65535), …, 1]: a lane a value
// parts  fold
// cost   writes 4 bytes an element: memory-bound
override WG: u32 = 64u;
struct Params { n: u32, n_frames: u32, height: u32, width: u32, side: u32, pad0: u32, pad1: u32, pad2: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.n {
        let side = params.side;
        let column = i % side;
        let row = i / side % side;
        let slot = i / (side * side) % 2u;
        let channel = i / (side * side * 2u) % 3u;
        let patch_idx = i / (side * side * 6u);
        let block = patch_idx / 4u;
        let blocks_wide = params.width / (2u * side);
        let patch_row = block / blocks_wide * 2u + (patch_idx & 2u) / 2u;
        let patch_column = block % blocks_wide * 2u + (patch_idx & 1u);
        let frame = min(slot, params.n_frames - 1u);
        let line = frame * params.height + patch_row * side + row;
        let byte = (line * params.width + patch_column * side + column) * 3u + channel;
        let level = (frames[byte / 4u] >> (byte % 4u * 8u)) & 0xffu;
        y[i] = (f32(level) - 127.5) / 127.5;
    }
}
