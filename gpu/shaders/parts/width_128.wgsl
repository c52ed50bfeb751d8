// Heads of up to 128 values. The workgroup waits together: with barriers of subgroups, and a branch of each, it was slower by half.
const EF: u32 = 8u;
//% let EF = 8
var<workgroup> grew: array<atomic<u32>, 4>; // the first: some row's reference has moved

fn order() {
    workgroupBarrier();
}

fn begin_tile(lane: u32) {
    if lane == 0u {
        atomicStore(&grew[0], 0u);
    }
}

// Whether some row's reference has moved; behind it what lanes wrote is in order.
fn any_moves(moves: bool) -> bool {
    if moves {
        atomicStore(&grew[0], 1u);
    }
    return workgroupUniformLoad(&grew[0]) != 0u;
}
