//! Twin of `take_last`.

/// `y = x[max(n_tokens, 1) − 1]`; x `[T, D]`, y `[1, D]`. More tokens than rows give the last row.
pub fn take_last(x: &[f32], n_tokens: usize, y: &mut [f32]) {
    let width = y.len();
    let n_rows = x.len() / width.max(1);
    if width > 0 && n_rows > 0 {
        let t = n_tokens.clamp(1, n_rows) - 1;
        y.copy_from_slice(super::row(x, width, t));
    } else {
        y.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn take_last_takes_the_last_row_that_counts() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (n_tokens, expected) in [(0, [1.0, 2.0]), (1, [1.0, 2.0]), (2, [3.0, 4.0]), (9, [5.0, 6.0])] {
            let mut y = [0.0; 2];
            super::take_last(&x, n_tokens, &mut y);
            assert_eq!(y, expected);
        }
    }
}
