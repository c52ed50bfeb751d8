//! Pictures of one source as bytes, without loss: the same one again costs a byte, a partly equal one what differs.

use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::bytes::{In, Out};
use crate::error::Error;

/// As the last picture.
const SAME: u8 = 0;
/// Each row less the one above, deflated.
const WHOLE: u8 = 1;
/// Each byte less that of the last picture, deflated.
const CHANGES: u8 = 2;

/// More than a screen has: a size above is refused before memory is taken.
const MAX_PIXELS: u64 = 64 << 20;

/// Remembers the last picture; one side's is as the other's after the same pictures.
#[derive(Debug, Default)]
pub struct PictureCoder {
    last: Option<Picture>,
}

#[derive(Debug)]
struct Picture {
    width: u32,
    height: u32,
    rgb: Arc<[u8]>,
}

fn malformed<T>(what: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { what })
}

/// Bytes of `[height, width, 3]` u8.
fn n_bytes(width: u32, height: u32) -> Result<usize, Error> {
    let n_pixels = u64::from(width) * u64::from(height);
    if n_pixels > MAX_PIXELS {
        return malformed("a picture of too many pixels");
    }
    // Less than 2^28.
    Ok(n_pixels as usize * 3)
}

impl PictureCoder {
    /// Writes `rgb` `[height, width, 3]` u8. Takes tens of milliseconds for a screen that is new.
    ///
    /// Errors: [`Error::Malformed`] if the bytes do not fit the size, or it is above 64 million pixels.
    pub fn write(&mut self, out: &mut Out, width: u32, height: u32, rgb: &Arc<[u8]>) -> Result<(), Error> {
        if rgb.len() != n_bytes(width, height)? {
            return malformed("a picture whose bytes do not fit its size");
        }
        out.number(width.into()).number(height.into());
        let last = self.last.take().filter(|last| (last.width, last.height) == (width, height));
        match last.as_ref().map(|last| &last.rgb) {
            Some(last) if last == rgb => {
                out.u8(SAME);
            }
            Some(last) => {
                let changes: Vec<u8> = rgb.iter().zip(last.iter()).map(|(new, old)| new.wrapping_sub(*old)).collect();
                out.u8(CHANGES).raw(&deflated(&changes));
            }
            None => {
                let above = std::iter::repeat_n(&0, width as usize * 3).chain(rgb.iter());
                let rows: Vec<u8> = rgb.iter().zip(above).map(|(new, above)| new.wrapping_sub(*above)).collect();
                out.u8(WHOLE).raw(&deflated(&rows));
            }
        }
        let rgb = rgb.clone();
        self.last = Some(Picture { width, height, rgb });
        Ok(())
    }

    /// Reads all that is left as a picture: width, height, `rgb`.
    ///
    /// Errors: [`Error::Malformed`].
    pub fn read(&mut self, bytes: &mut In<'_>) -> Result<(u32, u32, Arc<[u8]>), Error> {
        let (width, height) = (bytes.small()?, bytes.small()?);
        let n = n_bytes(width, height)?;
        let method = bytes.u8()?;
        let last = self.last.take().filter(|last| (last.width, last.height) == (width, height));
        let packed = bytes.rest();
        let rgb: Arc<[u8]> = match (method, last) {
            (SAME, Some(last)) if packed.is_empty() => last.rgb,
            (CHANGES, Some(last)) => {
                let mut changes = inflated(packed, n)?;
                changes
                    .iter_mut()
                    .zip(last.rgb.iter())
                    .for_each(|(new, old)| *new = new.wrapping_add(*old));
                changes.into()
            }
            (WHOLE, _) => {
                let mut rows = inflated(packed, n)?;
                let stride = width as usize * 3;
                for at in stride..rows.len() {
                    rows[at] = rows[at].wrapping_add(rows[at - stride]);
                }
                rows.into()
            }
            (SAME | CHANGES, _) => return malformed("a picture that leans on one that is not there"),
            _ => return malformed("a picture in a way that is not known"),
        };
        self.last = Some(Picture {
            width,
            height,
            rgb: rgb.clone(),
        });
        Ok((width, height, rgb))
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // A vector takes whatever is written to it.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Memory is taken as the bytes come, and never more than `n` of them.
fn inflated(packed: &[u8], n: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = DeflateDecoder::new(packed).take(n as u64 + 1).read_to_end(&mut bytes);
    match read {
        Ok(read) if read == n => Ok(bytes),
        _ => malformed("a picture's bytes do not inflate to its size"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(coder: &mut PictureCoder, width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
        let mut out = Out::new();
        coder.write(&mut out, width, height, &rgb.into()).unwrap();
        out.0
    }

    proptest! {
        #[test]
        fn pictures_come_back_bit_for_bit(
            pictures in prop::collection::vec((0u32..5, 0u32..5, any::<u8>(), 0u8..4), 1..8),
        ) {
            let (mut to, mut from) = (PictureCoder::default(), PictureCoder::default());
            for (width, height, seed, step) in pictures {
                let n = (width * height * 3) as usize;
                let rgb: Vec<u8> = (0..n).map(|i| seed.wrapping_add(i as u8 * step)).collect();
                let bytes = written(&mut to, width, height, &rgb);
                let read = from.read(&mut In::new(&bytes)).unwrap();
                prop_assert_eq!((read.0, read.1, &read.2[..]), (width, height, &rgb[..]));
            }
        }

        #[test]
        fn any_bytes_are_a_picture_or_refused(bytes: Vec<u8>, width in 0u8..8, method in 0u8..4) {
            let mut coder = PictureCoder::default();
            let _ = coder.read(&mut In::new(&bytes));
            let mut head = vec![width, 2, method];
            head.extend(bytes);
            let _ = coder.read(&mut In::new(&head));
            let _ = coder.read(&mut In::new(&head));
        }
    }

    #[test]
    fn the_same_again_costs_a_byte_and_a_change_what_changed() {
        let (width, height) = (320, 200);
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut rgb: Vec<u8> = (0..width * height * 3).map(|_| noise()).collect();
        let mut coder = PictureCoder::default();
        let whole = written(&mut coder, width, height, &rgb).len();
        assert!(whole > rgb.len() * 9 / 10, "noise does not compress");
        assert_eq!(written(&mut coder, width, height, &rgb).len(), 2 + 2 + 1);
        // A line of text of 10 × 100 pixels changes.
        for row in 20..30 {
            for column in 300..600 {
                rgb[row * width as usize * 3 + column] ^= 0x55;
            }
        }
        let changed = written(&mut coder, width, height, &rgb).len();
        assert!(changed < 5000, "{changed} bytes for 3000 that changed");
    }

    #[test]
    fn a_size_that_lies_takes_no_memory() {
        let mut out = Out::new();
        out.number(u32::MAX.into()).number(u32::MAX.into()).u8(WHOLE);
        assert!(PictureCoder::default().read(&mut In::new(&out.0)).is_err());
        let mut out = Out::new();
        out.number(8192).number(8192).u8(WHOLE).raw(&deflated(&[0; 100]));
        assert!(PictureCoder::default().read(&mut In::new(&out.0)).is_err());
        assert!(
            PictureCoder::default().read(&mut In::new(&[1, 1, SAME])).is_err(),
            "the same as nothing"
        );
    }
}
