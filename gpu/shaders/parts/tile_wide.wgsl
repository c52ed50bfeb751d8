// A tile of 128 × 128, eight subgroups of 64 × 32.
const TILE_T: u32 = 128u;
const TILE_N: u32 = 128u;
const X_ROWS: u32 = 128u;
const LANES: u32 = 256u;
const MA: u32 = 4u;
//% let MA = 4
//% let XU = 4
//% let WU = 2
