// Heads of up to 80 values. A subgroup waits for itself alone: its barrier orders workgroup memory, since the engine says so to the
// compiler (`engine/wgpu/ordered.rs`).
const EF: u32 = 5u;
//% let EF = 5

fn order() {
    subgroupBarrier();
}

fn begin_tile(lane: u32) {}

// Whether some row's reference has moved; behind it what lanes wrote is in order. naga takes what a subgroup agrees on for something
// that differs between lanes, and would refuse the barriers behind it; constants it takes for the same everywhere.
fn any_moves(moves: bool) -> bool {
    subgroupBarrier();
    if subgroupAny(moves) {
        return true;
    }
    return false;
}
