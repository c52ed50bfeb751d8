// A lane takes two queries of heads up to 80 values.
const ROWS: u32 = 2u;
const CHUNKS: u32 = 20u;
