// Tiles of 128 × 128, a lane 8 × 8 sums.
const QUADS: u32 = 2u;
//% let QUADS = 2
