// Tiles of 64 × 64, a lane 4 × 4 sums.
const QUADS: u32 = 1u;
//% let QUADS = 1
