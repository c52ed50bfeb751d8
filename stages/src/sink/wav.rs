//! `sink.wav`: sound to a WAV file, 16-bit mono. The header is right after every packet, so the file is whole at every moment.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use crate::error::Error;

/// The keys of `sink.wav`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WavConfig {
    /// The file, from the working directory.
    pub path: PathBuf,
}

/// Writes sound.
pub struct WavSink {
    path: PathBuf,
}

impl Stage for WavSink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut file = None;
        while let Some(packet) = ctx.recv().await {
            let Body::Audio(audio) = packet.body else { continue };
            let file = match &mut file {
                Some(file) => file,
                None => file.insert(Wav::create(&self.path, audio.rate_hz)?),
            };
            if file.rate_hz != audio.rate_hz {
                let (path, found) = (self.path.clone(), audio.rate_hz);
                return Err(Error::RateChanged {
                    path,
                    rate_hz: file.rate_hz,
                    found,
                }
                .into());
            }
            file.write(&audio.samples)?;
        }
        Ok(())
    }
}

const HEADER_BYTES: u32 = 44;
const BYTES_PER_SAMPLE: u16 = 2;

/// A WAV file that is written.
pub struct Wav {
    path: PathBuf,
    file: File,
    pub rate_hz: u32,
    n_samples: u32,
}

impl Wav {
    /// Starts a file.
    ///
    /// Errors: [`Error::Write`].
    pub fn create(path: &Path, rate_hz: u32) -> Result<Self, Error> {
        let failed = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let mut wav = Self {
            path: path.to_owned(),
            file: File::create(path).map_err(failed)?,
            rate_hz,
            n_samples: 0,
        };
        wav.write(&[])?;
        Ok(wav)
    }

    /// Adds samples (−1 … 1) and brings the header up to date.
    ///
    /// Errors: [`Error::Write`], also when the file would be longer than WAV can say.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), Error> {
        let written = self.append(samples);
        written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    fn append(&mut self, samples: &[f32]) -> io::Result<()> {
        let too_long = || io::Error::other("a WAV file cannot be longer than 4 GiB");
        let total = u32::try_from(samples.len()).ok().and_then(|n| self.n_samples.checked_add(n));
        let total = total.filter(|n| n.checked_mul(2).is_some_and(|bytes| bytes < u32::MAX - HEADER_BYTES));
        let total = total.ok_or_else(too_long)?;
        let bytes: Vec<u8> = samples.iter().flat_map(|x| pcm(*x).to_le_bytes()).collect();
        self.file
            .seek(SeekFrom::Start(u64::from(HEADER_BYTES) + 2 * u64::from(self.n_samples)))?;
        self.file.write_all(&bytes)?;
        self.n_samples = total;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.rate_hz, 2 * total))?;
        self.file.flush()
    }
}

/// One sample in 16 bits.
pub fn pcm(sample: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    let value = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
    value
}

/// RIFF, one format chunk, one data chunk.
fn header(rate_hz: u32, data_bytes: u32) -> Vec<u8> {
    let [channels, bits] = [1u16, 8 * BYTES_PER_SAMPLE];
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &(data_bytes + HEADER_BYTES - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * u32::from(BYTES_PER_SAMPLE)).to_le_bytes(),
        &BYTES_PER_SAMPLE.to_le_bytes(),
        &bits.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    parts.concat()
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: WavConfig, _: &BuildContext<'_>| Ok(WavSink { path: config.path });
    let factory = Factory::new(build)
        .input("audio", &[PacketKind::Audio])
        .check(|config, _| match config.path.as_os_str().is_empty() {
            true => vec![Fault::new("path", "is missing", "a file to write, such as \"speech.wav\"")],
            false => Vec::new(),
        })
        .writes(|config| vec![config.path.clone()]);
    registry.add("sink.wav", factory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole_after_every_packet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wav = Wav::create(&path, 22_050).unwrap();
        let lengths = [&[0.0, 1.0, -2.0][..], &[], &[0.5]];
        let mut n_bytes = 44;
        for samples in lengths {
            wav.write(samples).unwrap();
            n_bytes += 2 * samples.len();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len(), n_bytes);
            assert_eq!(bytes[4..8], u32::try_from(n_bytes - 8).unwrap().to_le_bytes());
            assert_eq!(bytes[40..44], u32::try_from(n_bytes - 44).unwrap().to_le_bytes());
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[24..28], 22_050u32.to_le_bytes());
        assert_eq!(bytes[44..], [0, 0, 0xFF, 0x7F, 1, 0x80, 0, 0x40]);
    }
}
