//! Any bytes as a sound file, WAV or FLAC: reading to the end gives samples or an error, a block at a time, and never one that is no
//! number or a block that the bytes do not call for.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use stages::sound::Sound;
use stages::sound::resample::Resample;

/// FLAC's largest block; what is read beyond so many samples would be read the same.
const MAX_BLOCK: usize = 65_535;
const ENOUGH: usize = 1 << 18;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut sound) = Sound::read(Path::new("fuzz"), Box::new(Cursor::new(bytes.to_vec()))) else {
        return;
    };
    // Some rates have no common chunk of a sensible size: that is an error, not a lot of memory.
    let mut resample = Resample::new(sound.spec.rate_hz, 16_000).ok();
    let mut n_samples = 0;
    while let Ok(Some(block)) = sound.next_block() {
        assert!(!block.is_empty() && block.len() <= MAX_BLOCK);
        assert!(block.iter().all(|sample| sample.is_finite()));
        n_samples += block.len();
        if let Some(resample) = &mut resample {
            resample.push(&block);
        }
        if n_samples > ENOUGH {
            return;
        }
    }
    if let Some(resample) = resample {
        resample.finish();
    }
});
