//! The formats against their stated bounds, and the exact rounding against f64.

use proptest::prelude::*;

use super::*;

const BOTH: [Format; 2] = [Format::Q4, Format::Q8];

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn round_trip(format: Format, values: &[f32], n_rows: usize, k: usize) -> Vec<f32> {
    let rows = pack(format, values, n_rows, k);
    assert_eq!(rows.packed.len() as u64 * 4, format.packed_bytes(n_rows, k));
    assert_eq!(rows.scales.len() as u64 * 4, format.scale_bytes(n_rows, k));
    dequantize(format, &bytes_of(&rows.packed), &bytes_of(&rows.scales), n_rows, k)
}

/// Values of one group over many magnitudes: subnormal in f16, ordinary, and above f16.
fn group() -> impl Strategy<Value = Vec<f32>> {
    let exponent = -30i32..18;
    exponent.prop_flat_map(|e| {
        proptest::collection::vec(-1.0f32..1.0, 1..=GROUP).prop_map(move |v| v.into_iter().map(|v| v * 2f32.powi(e)).collect())
    })
}

proptest! {
    #[test]
    fn quantise_then_dequantise_stays_within_the_bound(group in group()) {
        for format in [Format::Q4, Format::Q8, Format::F16, Format::F32] {
            if group.iter().any(|v| v.abs() > max_magnitude(format)) {
                continue;
            }
            let bound = error_bound(format, &group);
            for (v, back) in group.iter().zip(round_trip(format, &group, 1, group.len())) {
                prop_assert!((v - back).abs() <= bound, "{format:?}: {v} came back as {back}, bound {bound}");
            }
        }
    }

    #[test]
    fn rounding_is_exact(bits in 1u16..0x7c00, ratio in 0.0f32..129.0) {
        // Ratios at, just under and just over every half-way point, and arbitrary ones.
        let t = f16::from_bits(bits).to_f32();
        let half_way = (ratio.floor() + 0.5) * t;
        for v in [half_way, half_way.next_down(), half_way.next_up(), ratio * t, -half_way] {
            let exact = (f64::from(v.abs()) / f64::from(t)).round_ties_even();
            // The f64 quotient is exact enough: distinct f32 v differ by more than 2^-24 relative, it errs by 2^-53.
            prop_assert_eq!(f64::from(nearest_multiple(v, t)), exact, "v {} t {}", v, t);
        }
    }

    #[test]
    fn a_bad_estimate_of_the_reciprocal_changes_nothing(bits in 0x0400u16..0x7c00, ratio in 0.0f32..126.0, ulps in -3i32..=3) {
        // As WGSL may compute it; the correction must give the same integer.
        let t = f16::from_bits(bits).to_f32();
        let v = ratio * t;
        let inverse = f32::from_bits(((1.0 / t).to_bits() as i32 + ulps) as u32);
        let r = (v * inverse + 0.5).floor();
        prop_assert!((r - nearest_multiple(v, t)).abs() <= 1.0);
    }

    #[test]
    fn rows_of_any_shape_come_back_in_place(n_rows in 0usize..4, k in 0usize..70, seed in 0u32..1000) {
        let values: Vec<f32> = (0..n_rows * k).map(|i| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8e6 - 1.0).collect();
        for format in [Format::Q4, Format::Q8, Format::F16, Format::F32] {
            let back = round_trip(format, &values, n_rows, k);
            prop_assert_eq!(back.len(), values.len());
            for (v, b) in values.iter().zip(&back) {
                prop_assert!((v - b).abs() <= 0.13, "{:?} {} {}", format, v, b);
            }
        }
    }
}

#[test]
fn the_constant_is_the_nearest_f32() {
    assert_eq!(ONE_127TH, (1.0f64 / 127.0) as f32);
}

#[test]
fn words_are_laid_out_as_documented() {
    let mut row = vec![0.0f32; 32];
    row[0] = -127.0;
    row[1] = 3.0;
    let q8 = pack(Format::Q8, &row, 1, 32);
    assert_eq!(q8.scales, [u32::from(f16::ONE.to_bits())]);
    assert_eq!(q8.packed[0], 0x0000_0381);
    row[0] = -8.0;
    row[1] = 7.0;
    let q4 = pack(Format::Q4, &row, 1, 32);
    assert_eq!(q4.scales, [u32::from(f16::ONE.to_bits())]);
    assert_eq!(q4.packed[0], 0x8888_88f0);
    // The largest is positive: the scale is negative, and +8 is exact.
    row[0] = 8.0;
    let q4 = pack(Format::Q4, &row, 1, 32);
    assert_eq!(q4.scales, [u32::from(f16::NEG_ONE.to_bits())]);
    assert_eq!(q4.packed[0], 0x8888_8810);
    let f16s = pack(Format::F16, &[1.0, -2.0], 1, 2);
    assert_eq!(f16s.packed[0], 0xc000_3c00);
}

#[test]
fn zero_groups_and_padding_are_zero() {
    for format in BOTH {
        assert_eq!(round_trip(format, &[0.0; 33], 1, 33), vec![0.0; 33]);
        assert_eq!(scale_of(format, &[-0.0, 0.0]).to_bits(), 0);
        assert_eq!(scale_of(format, &[1e-12]).to_bits(), 0);
        assert_eq!(scale_of(format, &[-1e-12]).to_bits(), 0);
    }
    let packed = pack(Format::Q4, &[5.0], 1, 1);
    assert_eq!(packed.packed, [0x8888_8880, 0x8888_8888, 0x8888_8888, 0x8888_8888]);
}

#[test]
fn ties_go_to_even() {
    // s = 1: halves are ties.
    let mut row = vec![127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5];
    let back = round_trip(Format::Q8, &row, 1, row.len());
    assert_eq!(back, [127.0, 0.0, 2.0, 2.0, 0.0, -2.0, 126.0]);
    row = vec![-8.0, 0.5, 1.5, -2.5, 6.5, 7.5, 8.0];
    let back = round_trip(Format::Q4, &row, 1, row.len());
    assert_eq!(back, [-8.0, 0.0, 2.0, -2.0, 6.0, 7.0, 7.0]);
}

#[test]
fn largest_magnitude_finds_what_is_not_finite() {
    for dtype in [RawDType::F32, RawDType::F16, RawDType::Bf16] {
        let encode = |v: f32| match dtype {
            RawDType::F32 => v.to_le_bytes().to_vec(),
            RawDType::F16 => f16::from_f32(v).to_le_bytes().to_vec(),
            RawDType::Bf16 => bf16::from_f32(v).to_le_bytes().to_vec(),
        };
        let raw = |values: &[f32]| values.iter().flat_map(|&v| encode(v)).collect::<Vec<u8>>();
        assert_eq!(largest_magnitude(dtype, &raw(&[1.0, -4.0, 2.0])), Ok(4.0));
        assert_eq!(largest_magnitude(dtype, &[]), Ok(0.0));
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(
                largest_magnitude(dtype, &raw(&[1.0, 2.0, bad, bad])),
                Err(2),
                "{dtype:?} {bad}"
            );
        }
        assert_eq!(f32_from_raw(dtype, &raw(&[0.5, -3.0])), [0.5, -3.0]);
    }
}
