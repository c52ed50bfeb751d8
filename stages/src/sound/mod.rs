//! Sound files as streams of mono samples, and their rates: WAV and FLAC of any width and rate, never whole in memory;
//! `device`: microphones and speakers. No actor.

#[cfg(feature = "desktop")]
pub(crate) mod device;
mod flac;
pub mod resample;
mod wav;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use self::flac::Flac;
use self::resample::Resample;
use self::wav::Wav;
use crate::error::{Error, Result};

/// Rates that are read.
const RATES_HZ: std::ops::RangeInclusive<u32> = 1000..=768_000;
const MAX_CHANNELS: u16 = 64;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    pub rate_hz: u32,
    pub channels: u16,
    /// Of a sample; 32 and 64 may be floats.
    pub bits: u16,
    /// Samples of one channel, where the file says so.
    pub n_frames: Option<u64>,
}

/// A sound that is being read.
pub struct Sound {
    path: PathBuf,
    pub spec: Spec,
    format: Format,
    n_read: u64,
}

enum Format {
    Wav(Wav),
    Flac(Box<Flac>),
}

impl Sound {
    /// Errors: [`Error::Read`]; [`Error::Sound`] for a file that is empty, of another format, or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        Self::read(path, Box::new(BufReader::with_capacity(1 << 16, file)))
    }

    /// The same of any bytes; `path` is what errors call it.
    pub fn read(path: &Path, mut bytes: Box<dyn Read + Send>) -> Result<Self> {
        let fail = |message: String| Error::Sound {
            path: path.into(),
            message,
        };
        let mut magic = Vec::new();
        let read = (&mut bytes).take(4).read_to_end(&mut magic);
        read.map_err(|error| fail(error.to_string()))?;
        let whole = Box::new(std::io::Cursor::new(magic.clone()).chain(bytes));
        let (spec, format) = match magic.as_slice() {
            [] => return Err(fail("is empty".into())),
            b"RIFF" | b"RF64" => Wav::open(whole).map(|(spec, wav)| (spec, Format::Wav(wav))).map_err(fail)?,
            b"fLaC" => {
                let opened = Flac::open(whole).map_err(fail)?;
                (opened.0, Format::Flac(Box::new(opened.1)))
            }
            _ => return Err(fail("is neither WAV nor FLAC".into())),
        };
        if !RATES_HZ.contains(&spec.rate_hz) || !(1..=MAX_CHANNELS).contains(&spec.channels) {
            return Err(fail(format!(
                "has {} channels at {} Hz; supported: 1 to {MAX_CHANNELS} at 1 to 768 kHz",
                spec.channels, spec.rate_hz
            )));
        }
        Ok(Self {
            path: path.into(),
            spec,
            format,
            n_read: 0,
        })
    }

    /// The next samples, the mean of all channels, −1 … 1; `None` at the end.
    ///
    /// Errors: [`Error::Sound`] for a file that is cut short, damaged, or holds no sample at all.
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>> {
        let block = match &mut self.format {
            Format::Wav(wav) => wav.next_block(),
            Format::Flac(flac) => flac.next_block(),
        };
        let fail = |message: String| Error::Sound {
            path: self.path.clone(),
            message,
        };
        match block.map_err(fail)? {
            Some(block) => {
                self.n_read += block.len() as u64;
                Ok(Some(block))
            }
            None if self.n_read == 0 => Err(fail("holds no sound".into())),
            None => match self.spec.n_frames {
                Some(n_frames) if n_frames > self.n_read => {
                    Err(fail(format!("is truncated: it has {} of {n_frames} samples", self.n_read)))
                }
                _ => Ok(None),
            },
        }
    }
}

/// A sound at another rate.
pub struct SoundAt {
    sound: Sound,
    resample: Option<Resample>,
}

impl SoundAt {
    /// Errors: [`Error::Sound`] for rates that cannot be brought together.
    pub fn new(sound: Sound, rate_hz: u32) -> Result<Self> {
        let resample = Resample::new(sound.spec.rate_hz, rate_hz).map_err(|message| Error::Sound {
            path: sound.path.clone(),
            message,
        })?;
        Ok(Self {
            sound,
            resample: Some(resample),
        })
    }

    /// As [`Sound::next_block`].
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>> {
        while let Some(resample) = &mut self.resample {
            let block = match self.sound.next_block()? {
                Some(block) => resample.push(&block),
                None => self.resample.take().map(Resample::finish).unwrap_or_default(),
            };
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
