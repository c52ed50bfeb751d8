// A lane takes four queries of heads up to 80 values.
const ROWS: u32 = 4u;
const CHUNKS: u32 = 20u;
