//! Twin of `tdt_hidden`.

/// `y = max(enc[min(frame, T − 1)] + g, 0)`; enc `[T, D]`, g and y `[D]`.
pub fn tdt_hidden(enc: &[f32], g: &[f32], frame: usize, y: &mut [f32]) {
    let width = g.len();
    let last = (enc.len() / width.max(1)).saturating_sub(1);
    let row = super::row(enc, width, frame.min(last));
    for ((y, &e), &g) in y.iter_mut().zip(row).zip(g) {
        *y = (e + g).max(0.0);
    }
}
