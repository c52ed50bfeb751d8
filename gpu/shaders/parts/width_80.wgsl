// Heads of up to 80 values.
const EF: u32 = 5u;
//% let EF = 5
