// Heads of up to 128 values.
const EF: u32 = 8u;
//% let EF = 8
