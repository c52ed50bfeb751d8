//! The voice of the tree, in 8 bits, beside the full one that it was packed from: the same sound where durations are the same.

use std::path::Path;

use anyhow::{Context, Result};
use stages::tts::phonemes::{Dialect, Phonemizer};
use stages::tts::speaker::units;
use stages::tts::voice::{Noise, Scales, Voice};

/// What the samples of both must correlate by, in every sentence.
const LEAST: f64 = 0.98;
/// Numbers of noise for each frame.
const CHANNELS: usize = 192;

/// Sums of the samples that were compared.
#[derive(Default)]
struct Compared {
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Compared {
    fn add(&mut self, x: &[f32], y: &[f32]) {
        for (x, y) in x.iter().zip(y).map(|(x, y)| (f64::from(*x), f64::from(*y))) {
            self.xx += x * x;
            self.yy += y * y;
            self.xy += x * y;
        }
    }

    fn correlation(&self) -> f64 {
        self.xy / (self.xx * self.yy).sqrt()
    }
}

/// Speaks without noise with the full voice, and with the packed one in the full one's durations.
fn both(full: &Voice, packed: &Voice, ids: &[i32], length_scale: f32) -> Result<(Vec<f32>, Vec<f32>)> {
    let scales = Scales {
        noise_scale: 0.0,
        length_scale,
        noise_w: 0.0,
    };
    let full = full.synthesize(ids, scales, 0, Noise::Seed(0))?;
    let n_frames: usize = full.durations.iter().map(|frames| *frames as usize).sum();
    let noise = Noise::Given {
        duration: &vec![0.0; 2 * ids.len()],
        latent: &vec![0.0; CHANNELS * n_frames],
        durations: Some(&full.durations),
    };
    Ok((full.samples, packed.synthesize(ids, scales, 0, noise)?.samples))
}

#[test]
fn the_voice_of_the_tree_sounds_as_the_full_one() -> Result<()> {
    let files = match tests::voice::joe() {
        Ok(files) => files,
        Err(error) => {
            println!("SKIPPED: {error:#}");
            return Ok(());
        }
    };
    let full = Voice::load("full", &files.onnx, &files.json)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/joe");
    let read = |name: &str| std::fs::read(folder.join(name)).context(folder.display().to_string());
    let packed = Voice::load("packed", &read("joe.onnx.zz")?, &read("joe.onnx.json")?)?;
    let phonemizer = Phonemizer::get()?;
    let mut all = Compared::default();
    for (text, length_scale) in [
        ("The build failed with two errors.", 1.0),
        ("It is five past two, and the window shows a terminal.", 1.0),
        ("Would you like me to read it again?", 1.2),
        ("Press the button on the left.", 0.85),
    ] {
        for unit in units(phonemizer.phonemize(text, Dialect::default())) {
            let (ids, _) = full.config.ids(&unit.phonemes);
            let (x, y) = both(&full, &packed, &ids, length_scale)?;
            assert_eq!(x.len(), y.len(), "{text}");
            let mut one = Compared::default();
            one.add(&x, &y);
            println!("{:.4}  {:?}", one.correlation(), unit.phonemes);
            assert!(one.correlation() >= LEAST, "{text}: {}", one.correlation());
            all.add(&x, &y);
        }
    }
    println!("{:.4}  all", all.correlation());
    Ok(())
}
