// One step of an LSTM after its matrices, unless the transducer did not move: gates are input, forget, cell, output.
//
//   gates [4 d] f32
//   h, c  [d]   f32, changed
//
// grid   [min(ceil(d / WG), 65535), …, 1]: a lane a unit
// parts  fold
// cost   nothing: one row
override WG: u32 = 64u;
struct Params { d: u32, pad0: u32, pad1: u32, pad2: u32 }
struct State { frame: u32, end: u32, fed: u32, step: u32, run: u32, run_frame: u32, done: u32, last_id: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> state: State;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(clamp(-x, -80.0, 80.0)));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = workgroup_index(group) * WG + lane;
    if i < params.d && state.fed != 0u {
        let d = params.d;
        // tanh is kept in a range in which no driver's overflows.
        let cell = sigmoid(gates[d + i]) * c[i] + sigmoid(gates[i]) * tanh(clamp(gates[2u * d + i], -20.0, 20.0));
        c[i] = cell;
        h[i] = sigmoid(gates[3u * d + i]) * tanh(clamp(cell, -20.0, 20.0));
    }
}
