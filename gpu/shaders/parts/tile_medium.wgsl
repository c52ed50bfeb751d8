// A tile of 128 × 96, six subgroups of 64 × 32. Of x 144 rows are loaded, so that every lane loads as many.
const TILE_T: u32 = 128u;
const TILE_N: u32 = 96u;
const X_ROWS: u32 = 144u;
const LANES: u32 = 192u;
const MA: u32 = 4u;
//% let MA = 4
//% let XU = 6
//% let WU = 2
