// A tile of 64 × 64, four subgroups of 32 × 32.
const TILE_T: u32 = 64u;
const TILE_N: u32 = 64u;
const X_ROWS: u32 = 64u;
const LANES: u32 = 128u;
const MA: u32 = 2u;
//% let MA = 2
//% let XU = 4
//% let WU = 2
