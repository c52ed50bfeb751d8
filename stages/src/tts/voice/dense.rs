//! Weights in fewer bits, as `models/joe/pack.py` writes them, made f32 again:
//!
//! - i8: a number times its group's scale;
//! - i16: the same in 12 bits, first the low four of all numbers, two in a byte, the first in the lower half, then the high
//!   eight, signed (the low ones are noise, and only the high ones compress);
//! - f16.
//!
//! The scales of a constant `NAME` are the f32 or f16 constant `NAME` + [`SCALE_SUFFIX`]; each is that of an equal share of the
//! numbers in their order. The file itself may be compressed (zlib).

use std::borrow::Cow;

use gpu::weights::source::inflated;
use half::f16;

use super::graph::{FLOAT, FLOAT16, INT8, INT16, Tensor};

pub const SCALE_SUFFIX: &str = "/qwglm.scale";
/// The first byte of a zlib stream; an ONNX file starts with another.
const ZLIB: u8 = 0x78;
/// More than any voice unpacks to.
const MAX_BYTES: usize = 256 << 20;

/// The ONNX file in `file`, which may be compressed.
///
/// Errors: what is wrong with it.
pub fn onnx_of(file: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    if file.first() != Some(&ZLIB) {
        return Ok(file.into());
    }
    inflated(file, MAX_BYTES).map(Cow::Owned)
}

/// A constant as the graph needs it. `None`: its bytes do not fit its shape.
pub fn dense<'a>(tensor: &'a Tensor<'a>, scales: Option<&Tensor<'_>>) -> Option<Tensor<'a>> {
    let n_numbers = tensor
        .dims
        .iter()
        .try_fold(1usize, |n, dim| n.checked_mul(usize::try_from(*dim).ok()?))?;
    let data: Vec<u8> = match (tensor.kind, scales) {
        (INT8, Some(scales)) => {
            #[expect(clippy::cast_possible_wrap, reason = "stored as i8")]
            let numbers = tensor.data.iter().map(|byte| f32::from(*byte as i8));
            scaled(numbers, n_numbers, scales)?
        }
        (INT16, Some(scales)) => {
            let (low, high) = tensor.data.split_at_checked(n_numbers.div_ceil(2))?;
            let low = low.iter().flat_map(|pair| [pair & 15, pair >> 4]);
            #[expect(clippy::cast_possible_wrap, reason = "stored as i8")]
            let whole = |(high, low): (&u8, u8)| f32::from(i16::from(*high as i8) << 4 | i16::from(low));
            let numbers: Vec<f32> = high.iter().zip(low).map(whole).collect();
            scaled(numbers.into_iter(), n_numbers, scales)?
        }
        (FLOAT16, _) => {
            let numbers = floats(tensor)?;
            (numbers.len() == n_numbers).then_some(())?;
            numbers.into_iter().flat_map(f32::to_le_bytes).collect()
        }
        _ => {
            return Some(Tensor {
                name: tensor.name.clone(),
                dims: tensor.dims.clone(),
                kind: tensor.kind,
                data: Cow::Borrowed(&tensor.data),
            });
        }
    };
    Some(Tensor {
        name: tensor.name.clone(),
        dims: tensor.dims.clone(),
        kind: FLOAT,
        data: data.into(),
    })
}

/// The numbers of an f32 or f16 constant.
fn floats(tensor: &Tensor<'_>) -> Option<Vec<f32>> {
    let (fours, twos) = (tensor.data.as_chunks::<4>().0, tensor.data.as_chunks::<2>().0);
    match tensor.kind {
        FLOAT => Some(fours.iter().map(|four| f32::from_le_bytes(*four)).collect()),
        FLOAT16 => Some(twos.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect()),
        _ => None,
    }
}

/// Each number times the scale of its share, as bytes of f32.
fn scaled(numbers: impl ExactSizeIterator<Item = f32>, n_numbers: usize, scales: &Tensor<'_>) -> Option<Vec<u8>> {
    let scales = floats(scales)?;
    let is_even = numbers.len() == n_numbers && !scales.is_empty() && n_numbers.is_multiple_of(scales.len());
    let group = is_even.then(|| n_numbers / scales.len()).filter(|group| *group > 0)?;
    let numbers = numbers.enumerate().map(|(index, number)| number * scales[index / group]);
    Some(numbers.flat_map(f32::to_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(kind: u64, dims: &[u64], data: &[u8]) -> Tensor<'static> {
        Tensor {
            name: "w".into(),
            dims: dims.to_vec(),
            kind,
            data: data.to_vec().into(),
        }
    }

    #[test]
    fn numbers_come_back() {
        let scales = tensor(FLOAT, &[2], &[0.5f32.to_le_bytes(), 2f32.to_le_bytes()].concat());
        let bytes = tensor(INT8, &[2, 2], &[1, 0xFF, 127, 0x81]);
        let found = dense(&bytes, Some(&scales)).unwrap();
        assert_eq!((found.kind, floats(&found).unwrap()), (FLOAT, vec![0.5, -0.5, 254.0, -254.0]));
        let halves = tensor(
            FLOAT16,
            &[2],
            &[0.5, 2.0].map(|scale| f16::from_f32(scale).to_le_bytes()).concat(),
        );
        let numbers = |tensor: &Tensor<'_>, scales| floats(&dense(tensor, scales).unwrap()).unwrap();
        // 1000, -1, 1, -2048.
        let planes = tensor(INT16, &[4], &[0xF8, 0x01, 62, 0xFF, 0, 0x80]);
        for scales in [&scales, &halves] {
            assert_eq!(numbers(&planes, Some(scales)), [500.0, -0.5, 2.0, -4096.0]);
        }
        let odd = tensor(INT16, &[1], &[0x07, 0]);
        let one = tensor(FLOAT, &[1], &1f32.to_le_bytes());
        assert_eq!(numbers(&odd, Some(&one)), [7.0]);
        assert_eq!((numbers(&halves, None), numbers(&one, None)), (vec![0.5, 2.0], vec![1.0]));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let scales = tensor(FLOAT, &[3], &[0; 12]);
        for wrong in [
            tensor(INT8, &[4], &[0; 4]),
            tensor(INT8, &[3], &[0; 4]),
            tensor(INT16, &[3], &[0; 4]),
            tensor(INT16, &[3], &[0; 6]),
            tensor(INT8, &[0], &[]),
        ] {
            assert!(dense(&wrong, Some(&scales)).is_none());
        }
        assert!(dense(&tensor(FLOAT16, &[2], &[0; 3]), None).is_none());
        assert!(dense(&tensor(INT8, &[u64::MAX, 2], &[0; 4]), Some(&scales)).is_none());
        assert!(onnx_of(&[0x78, 1, 2, 3]).is_err());
        assert_eq!(onnx_of(b"\x08x").as_deref(), Ok(&b"\x08x"[..]));
    }
}
