//! The twins: every operation of a recording in plain Rust, from the formula in `gpu::recording`, a file each.
//!
//! A twin takes slices whose lengths the engine's `check` has held against the formula, reads top to bottom, and sums in f64.
//! It is the oracle; what has to be quick is done again in [`crate::fast`] and tested against it.

pub mod activate;
pub mod add;
pub mod add_scaled;
pub mod attention;
pub mod cached_attention;
pub mod conv_down;
pub mod depthwise_conv;
pub mod embed;
pub mod gather_mix;
pub mod gelu;
pub mod glu;
pub mod kv_append;
pub mod layer_norm;
pub mod linear;
pub mod lstm_cell;
pub mod masked_add;
pub mod overlay;
pub mod patchify;
pub mod quantize;
pub mod rel_attention;
pub mod rms_norm;
pub mod rope;
pub mod sample;
pub mod swap_relu;
pub mod swiglu;
pub mod take_last;
pub mod tdt_hidden;
pub mod tdt_step;
pub mod weight;

/// Row `t` of a matrix of `width` columns.
pub fn row(x: &[f32], width: usize, t: usize) -> &[f32] {
    &x[t * width..(t + 1) * width]
}

/// Row `t` of a matrix of `width` columns, to be written.
pub fn row_mut(y: &mut [f32], width: usize, t: usize) -> &mut [f32] {
    &mut y[t * width..(t + 1) * width]
}
