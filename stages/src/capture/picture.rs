//! Pixels from the bytes of a picture file, within hard bounds. Hostile input: nothing here is trusted.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::error::{Error, Result};
use crate::vision::resize::MAX_ASPECT;

/// Pixels that are decoded at most: an 8K screen has a third of this.
pub const MAX_PIXELS: u64 = 100_000_000;
/// Bytes of a file that are read at most.
pub const MAX_BYTES: u64 = 256 << 20;
/// Memory that a decoder may take: 16-bit RGBA of [`MAX_PIXELS`].
const MAX_ALLOC_BYTES: u64 = MAX_PIXELS * 8;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// `[height, width, 3]` u8, sRGB.
    pub rgb: Vec<u8>,
}

/// Decodes PNG, JPEG, WebP, GIF (its first frame) or BMP to RGB: 16 bits are rounded to 8, grey is replicated, what is
/// transparent shows white, and the orientation that a camera noted is applied.
///
/// Errors: [`Error::EmptyFile`], [`Error::TooManyBytes`], [`Error::Decode`], [`Error::TooManyPixels`], and
/// [`Error::AspectRatio`] before anything is decoded.
pub fn picture_from_bytes(bytes: &[u8]) -> Result<Picture> {
    if bytes.is_empty() {
        return Err(Error::EmptyFile);
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::TooManyBytes {
            size_bytes: bytes.len() as u64,
            max_bytes: MAX_BYTES,
        });
    }
    let fail = |error: image::ImageError| Error::Decode {
        message: error.to_string(),
    };
    check_png_palette(bytes)?;
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Error::Decode {
            message: error.to_string(),
        })?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(fail)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    // A broken note of a camera is no reason to refuse its picture.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(fail)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    let (width, height) = (image.width(), image.height());
    let rgb = if image.color().has_alpha() {
        on_white(&image.into_rgba8())
    } else {
        image.into_rgb8().into_raw()
    };
    Ok(Picture { width, height, rgb })
}

fn check_size(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::EmptyPicture { width, height });
    }
    if u64::from(width.max(height)) > u64::from(MAX_ASPECT) * u64::from(width.min(height)) {
        return Err(Error::AspectRatio {
            width,
            height,
            max: MAX_ASPECT,
        });
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::TooManyPixels {
            width,
            height,
            max_pixels: MAX_PIXELS,
        });
    }
    Ok(())
}

/// Holds the palette of a PNG file to whole colours, 256 at most: crate `png` 0.18.1 panics on any other.
///
/// Errors: [`Error::Decode`]. Bytes that are no PNG pass.
fn check_png_palette(bytes: &[u8]) -> Result<()> {
    let Some(mut rest) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") else {
        return Ok(());
    };
    // A chunk is its length, a name, the data and a checksum; the palette stands before the pixels.
    while let Some((&[a, b, c, d, ref name @ ..], data)) = rest.split_first_chunk::<8>() {
        let n_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
        match name {
            b"PLTE" if !n_bytes.is_multiple_of(3) || !(3..=768).contains(&n_bytes) => {
                let message = format!("the palette has {n_bytes} bytes, which is not 1 to 256 colours");
                return Err(Error::Decode { message });
            }
            b"IDAT" => break,
            _ => {}
        }
        let Some(next) = data.get(n_bytes.saturating_add(4)..) else {
            break;
        };
        rest = next;
    }
    Ok(())
}

/// `[…, 4]` to `[…, 3]`.
fn on_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        let blend = |c: u8| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        rgb.extend(pixel[..3].iter().map(|&c| blend(c)));
    }
    rgb
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder, ImageFormat};

    use super::*;

    fn png(width: u32, height: u32, color: ExtendedColorType, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        image::codecs::png::PngEncoder::new(&mut out)
            .write_image(data, width, height, color)
            .unwrap();
        out
    }

    /// Found by the fuzz target `image`: such a palette made the decoder panic.
    #[test]
    fn a_palette_that_is_not_whole_colours_is_refused() {
        let chunk = |name: &[u8], data: &[u8]| {
            let length = (data.len() as u32).to_be_bytes();
            let checksum = crc32(&[name, data].concat()).to_be_bytes();
            [&length[..], name, data, &checksum[..]].concat()
        };
        // One row of four pixels of 2 bits: a filter byte and 0b00_00_00_00, stored without compression.
        let pixels = b"\x78\x01\x01\x02\x00\xfd\xff\x00\x00\x00\x02\x00\x01";
        let picture = |n_palette_bytes: usize| {
            let head = chunk(b"IHDR", &[0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 0, 0, 0]);
            let palette = chunk(b"PLTE", &vec![9; n_palette_bytes]);
            let tail = [chunk(b"IDAT", pixels), chunk(b"IEND", b"")].concat();
            [&b"\x89PNG\r\n\x1a\n"[..], &head, &palette, &tail].concat()
        };
        for n_bytes in [3, 12, 768] {
            let found = picture_from_bytes(&picture(n_bytes)).unwrap();
            assert_eq!(found.rgb, [9; 12], "{n_bytes}");
        }
        for n_bytes in [0, 1, 2, 4, 259, 769, 771] {
            let error = picture_from_bytes(&picture(n_bytes)).unwrap_err().to_string();
            assert!(error.contains(&format!("palette has {n_bytes} bytes")), "{error}");
        }
    }

    #[test]
    fn every_kind_of_pixel_becomes_rgb() {
        let cases: [(&str, ExtendedColorType, Vec<u8>, [u8; 3]); 6] = [
            ("grey", ExtendedColorType::L8, vec![7], [7; 3]),
            ("rgb", ExtendedColorType::Rgb8, vec![1, 2, 3], [1, 2, 3]),
            ("opaque", ExtendedColorType::Rgba8, vec![1, 2, 3, 255], [1, 2, 3]),
            ("clear", ExtendedColorType::Rgba8, vec![1, 2, 3, 0], [255; 3]),
            ("half", ExtendedColorType::La8, vec![0, 51], [204; 3]),
            (
                "16 bits",
                ExtendedColorType::Rgb16,
                [0u16, 257 * 100, 65535].iter().flat_map(|v| v.to_ne_bytes()).collect(),
                [0, 100, 255],
            ),
        ];
        for (name, color, data, expected) in cases {
            let found = picture_from_bytes(&png(1, 1, color, &data)).unwrap();
            assert_eq!(
                found,
                Picture {
                    width: 1,
                    height: 1,
                    rgb: expected.to_vec()
                },
                "{name}"
            );
        }
    }

    #[test]
    fn every_format_is_read() {
        let image = DynamicImage::ImageRgb8(image::RgbImage::from_pixel(3, 2, image::Rgb([200, 100, 50])));
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Gif,
            ImageFormat::Bmp,
        ] {
            let mut out = Cursor::new(Vec::new());
            image.write_to(&mut out, format).unwrap();
            let found = picture_from_bytes(out.get_ref()).unwrap();
            assert_eq!((found.width, found.height), (3, 2), "{format:?}");
            let near = found
                .rgb
                .iter()
                .zip([200u8, 100, 50].iter().cycle())
                .all(|(a, b)| a.abs_diff(*b) <= 4);
            assert!(near, "{format:?}: {:?}", found.rgb);
        }
    }

    #[test]
    fn bad_files_are_refused_with_the_reason() {
        let good = png(4, 4, ExtendedColorType::L8, &[9; 16]);
        assert!(matches!(picture_from_bytes(&[]), Err(Error::EmptyFile)));
        assert!(matches!(picture_from_bytes(b"hello"), Err(Error::Decode { .. })));
        for cut in 1..good.len() - 12 {
            assert!(picture_from_bytes(&good[..cut]).is_err(), "{cut} bytes");
        }
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        assert!(matches!(picture_from_bytes(&flipped), Err(Error::Decode { .. })));
        let long = png(1, 20_000, ExtendedColorType::L8, &vec![0; 20_000]);
        assert!(matches!(
            picture_from_bytes(&long),
            Err(Error::AspectRatio {
                width: 1,
                height: 20_000,
                ..
            })
        ));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_decoded() {
        // A small file whose header promises 60,000 × 60,000 pixels; its checksum is made to fit.
        let mut bomb = png(4, 4, ExtendedColorType::L8, &[9; 16]);
        bomb[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let checksum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
        let found = picture_from_bytes(&bomb);
        assert!(matches!(found, Err(Error::TooManyPixels { width: 60_000, .. })), "{found:?}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    }
}
