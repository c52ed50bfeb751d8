//! The fast `linear` against its twin, over formats, odd shapes, and parts.

use gpu::weights::{Format, quant};
use proptest::prelude::*;

use super::*;
use crate::fast::gemm;
use crate::kernel;

/// Numbers in −1 .. 1 that follow from a seed.
pub fn noise(seed: u32, n: usize) -> Vec<f32> {
    let value = |i| gpu::sampler::pcg(seed.wrapping_mul(7919).wrapping_add(i)) as f32 / 2f32.powi(31) - 1.0;
    (0..n as u32).map(value).collect()
}

/// Root of the mean square of the differences, relative to that of `expected`.
pub fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let rms = |values: &mut dyn Iterator<Item = f64>| (values.map(|v| v * v).sum::<f64>() / found.len().max(1) as f64).sqrt();
    let differences = rms(&mut found.iter().zip(expected).map(|(&f, &e)| f64::from(f) - f64::from(e)));
    differences / rms(&mut expected.iter().map(|&e| f64::from(e))).max(1e-30)
}

struct Case {
    format: Format,
    n_tokens: usize,
    n: usize,
    k: usize,
    /// Rows of the part, which starts at row `first`.
    first: usize,
    n_rows: usize,
    bias: bool,
}

impl Case {
    fn check(&self, seed: u32) {
        let &Case {
            format,
            n_tokens,
            n,
            k,
            first,
            n_rows,
            ..
        } = self;
        let x = noise(seed, n_tokens * k);
        let rows = quant::pack(format, &noise(seed + 1, n_rows * k), n_rows, k);
        let part = PackedRows {
            format,
            n_rows,
            k,
            packed: &rows.packed,
            scales: &rows.scales,
        };
        let bias = self.bias.then(|| noise(seed + 2, n));
        let mut expected = vec![0.5; n_tokens * n];
        if n > 0 {
            kernel::linear::linear(&x, part, first, bias.as_deref(), n, &mut expected);
        }
        let values = unpack(part, 0..n_rows);
        let plain: Vec<f32> = (0..n_rows).flat_map(|i| part.row(i)).collect();
        assert_eq!(values, plain, "unpacking {format:?}");

        let whole = n_rows > 0 && k > 0;
        let packed = whole.then(|| gemm::pack(Matrix::dense(&values, [n_rows, k]).transposed()).expect("the values are whole"));
        for kept in [None, packed.as_ref()] {
            let mut found = vec![0.5; n_tokens * n];
            linear(&x, part, kept, first, bias.as_deref(), n, &mut found).expect("shapes agree");
            // Relative RMS; what stands out are a few outputs that cancel, over k = 4304.
            let error = error(&found, &expected);
            assert!(
                error <= 1e-6,
                "{format:?} T {n_tokens} n {n} k {k} first {first} rows {n_rows}: {error:e}"
            );
        }
    }
}

#[test]
fn linear_fast_equals_plain_on_named_shapes() {
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        for (n_tokens, n, k) in [
            (1, 1, 1),
            (1, 5, 4304),
            (3, 70, 72),
            (2, 1, 4304),
            (0, 3, 4),
            (4, 0, 8),
            (5, 3, 0),
            (1, 3, 0),
            (130, 33, 257),
        ] {
            Case {
                format,
                n_tokens,
                n,
                k,
                first: 0,
                n_rows: n,
                bias: n_tokens % 2 == 0,
            }
            .check(11);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn linear_fast_equals_plain(
        format in prop::sample::select(vec![Format::F32, Format::F16, Format::Q8, Format::Q4]),
        n_tokens in 1usize..20,
        before in 0usize..5,
        n_rows in 1usize..90,
        after in 0usize..5,
        k in 1usize..300,
        bias: bool,
        seed in 0u32..1000,
    ) {
        let n = before + n_rows + after;
        Case { format, n_tokens, n, k, first: before, n_rows, bias }.check(seed);
    }
}
