//! Any bytes as a picture: decoded, and resized for the model, or refused.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use stages::capture::picture::picture_from_bytes;
use stages::vision::resize::{PixelLimits, Size, image_size, resize_rgb};

/// Larger pictures are refused or take their time; unit tests hold the bounds.
const MAX_PIXELS: u64 = 1 << 18;

fuzz_target!(|bytes: &[u8]| {
    let size = image::ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()
        .and_then(|reader| reader.into_dimensions().ok());
    if size.is_some_and(|(width, height)| u64::from(width) * u64::from(height) > MAX_PIXELS) {
        return;
    }
    let Ok(picture) = picture_from_bytes(bytes) else {
        return;
    };
    assert_eq!(picture.rgb.len(), picture.width as usize * picture.height as usize * 3);
    let from = Size {
        width: picture.width,
        height: picture.height,
    };
    let limits = PixelLimits {
        min_pixels: 1024,
        max_pixels: 65_536,
    };
    if let Ok(to) = image_size(from, limits) {
        let resized = resize_rgb(&picture.rgb, from, to).expect("a size that was allowed");
        assert_eq!(resized.len(), to.width as usize * to.height as usize * 3);
    }
});
