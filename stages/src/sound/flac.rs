//! FLAC, by the crate `claxon`, a block at a time.

use std::io::Read;

use claxon::FlacReader;

use super::Spec;

/// A stream after its header.
pub struct Flac {
    reader: FlacReader<Box<dyn Read + Send>>,
    channels: u32,
    /// What a sample is divided by.
    scale: f64,
    buffer: Vec<i32>,
}

impl Flac {
    pub fn open(bytes: Box<dyn Read + Send>) -> Result<(Spec, Self), String> {
        let reader = FlacReader::new(bytes).map_err(|error| format!("is no FLAC that can be read: {error}"))?;
        let info = reader.streaminfo();
        if !(4..=32).contains(&info.bits_per_sample) {
            return Err(format!("has {} bits a sample", info.bits_per_sample));
        }
        let spec = Spec {
            rate_hz: info.sample_rate,
            channels: info.channels as u16,
            bits: info.bits_per_sample as u16,
            n_frames: info.samples,
        };
        let flac = Self {
            reader,
            channels: info.channels,
            scale: 2f64.powi(info.bits_per_sample as i32 - 1),
            buffer: Vec::new(),
        };
        Ok((spec, flac))
    }

    /// The next block; `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>, String> {
        let buffer = std::mem::take(&mut self.buffer);
        let block = self.reader.blocks().read_next_or_eof(buffer);
        let Some(block) = block.map_err(|error| match error {
            claxon::Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                "is truncated: it ends inside a block".to_owned()
            }
            error => format!("is damaged: {error}"),
        })?
        else {
            return Ok(None);
        };
        if block.channels() != self.channels {
            return Err("is damaged: the number of its channels changes".into());
        }
        let mean = |i: u32| {
            let sum: f64 = (0..block.channels()).map(|channel| f64::from(block.sample(channel, i))).sum();
            (sum / f64::from(block.channels()) / self.scale) as f32
        };
        let samples = (0..block.duration()).map(mean).collect();
        self.buffer = block.into_buffer();
        Ok(Some(samples))
    }
}
