//! WAV: integers of 8 to 32 bits and floats, read as they come.
//! Source: Microsoft's "Multiple Channel Audio Data and WAVE Files", RFC 2361, EBU Tech 3306 for RF64.

use std::io::{ErrorKind, Read};

use super::Spec;

/// Samples of one channel that a block has at most.
const BLOCK: usize = 4096;
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

/// A stream after its header.
pub struct Wav {
    bytes: Box<dyn Read + Send>,
    channels: usize,
    /// Of a sample.
    width: usize,
    is_float: bool,
    /// Bytes of the data that are left, where it has an end.
    left: u64,
}

impl Wav {
    /// Reads up to the data. The first four bytes are known to be `RIFF` or `RF64`.
    pub fn open(mut bytes: Box<dyn Read + Send>) -> Result<(Spec, Self), String> {
        let head: [u8; 12] = exactly(&mut bytes)?;
        if &head[8..] != b"WAVE" {
            return Err("is a RIFF file, but no WAV".into());
        }
        let (mut format, mut long_data) = (None, None);
        loop {
            let chunk: [u8; 8] = exactly(&mut bytes)?;
            let size = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
            match &chunk[..4] {
                b"fmt " => {
                    let fields: [u8; 16] = exactly(&mut bytes)?;
                    let rest = size.checked_sub(16).ok_or("has a format of less than 16 bytes")?;
                    let mut extra = [0; 24];
                    let n_extra = rest.min(24);
                    fill(&mut bytes, &mut extra[..n_extra as usize])?;
                    skip(&mut bytes, rest - n_extra + size % 2)?;
                    format = Some((fields, extra));
                }
                b"ds64" => {
                    let fields: [u8; 16] = exactly(&mut bytes)?;
                    long_data = fields[8..].first_chunk().map(|&bytes| u64::from_le_bytes(bytes));
                    skip(&mut bytes, size.saturating_sub(16) + size % 2)?;
                }
                b"data" => {
                    let (fields, extra) = format.ok_or("has data before it says how they are stored")?;
                    return Self::with_format(bytes, &fields, &extra, size, long_data);
                }
                _ => skip(&mut bytes, size + size % 2)?,
            }
        }
    }

    fn with_format(
        bytes: Box<dyn Read + Send>,
        fields: &[u8; 16],
        extra: &[u8; 24],
        size: u64,
        long_data: Option<u64>,
    ) -> Result<(Spec, Self), String> {
        let word = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        let (mut tag, channels, bits) = (word(0), word(2), word(14));
        if tag == EXTENSIBLE {
            tag = u16::from_le_bytes([extra[8], extra[9]]);
        }
        let is_float = tag == FLOAT;
        let width = usize::from(bits.div_ceil(8));
        let known = match tag {
            PCM => matches!(width, 1..=4),
            FLOAT => matches!(bits, 32 | 64),
            _ => return Err(format!("is compressed (format {tag}); supported: integers and floats")),
        };
        if !known || channels == 0 {
            return Err(format!("has {channels} channels of {bits} bits, which is no sound"));
        }
        let frame = width * usize::from(channels);
        // A program that writes to a pipe does not know the size.
        let size = match size {
            0xffff_ffff => long_data.filter(|&size| size != u64::MAX),
            size => Some(size),
        };
        let spec = Spec {
            rate_hz: u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]),
            channels,
            bits,
            n_frames: size.map(|size| size / frame as u64),
        };
        let wav = Self {
            bytes,
            channels: channels.into(),
            width,
            is_float,
            left: size.map_or(u64::MAX, |size| size / frame as u64 * frame as u64),
        };
        Ok((spec, wav))
    }

    /// The next samples; `None` at the end, which may come early.
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>, String> {
        let frame = self.width * self.channels;
        let wanted = ((BLOCK * frame) as u64).min(self.left);
        let mut bytes = Vec::with_capacity(wanted as usize);
        let read = (&mut self.bytes).take(wanted).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        self.left -= bytes.len() as u64;
        let samples: Vec<f32> = bytes.chunks_exact(frame).map(|frame| self.mean(frame)).collect();
        Ok(Some(samples).filter(|samples| !samples.is_empty()))
    }

    fn mean(&self, frame: &[u8]) -> f32 {
        let sum: f64 = frame.chunks_exact(self.width).map(|sample| self.sample(sample)).sum();
        (sum / self.channels as f64) as f32
    }

    fn sample(&self, bytes: &[u8]) -> f64 {
        let value = match (bytes, self.is_float) {
            (&[a, b, c, d], true) => f32::from_le_bytes([a, b, c, d]).into(),
            (&[a, b, c, d, e, f, g, h], true) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            // Eight bits alone have no sign.
            (&[a], _) => (f64::from(a) - 128.0) / 128.0,
            (&[a, b], _) => f64::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (&[a, b, c], _) => f64::from(i32::from_le_bytes([0, a, b, c])) / 2_147_483_648.0,
            (&[a, b, c, d], _) => f64::from(i32::from_le_bytes([a, b, c, d])) / 2_147_483_648.0,
            _ => 0.0,
        };
        if value.is_finite() { value.clamp(-64.0, 64.0) } else { 0.0 }
    }
}

fn fill(bytes: &mut dyn Read, into: &mut [u8]) -> Result<(), String> {
    bytes.read_exact(into).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => "is truncated: it ends before its data".to_owned(),
        _ => error.to_string(),
    })
}

fn exactly<const N: usize>(bytes: &mut dyn Read) -> Result<[u8; N], String> {
    let mut into = [0; N];
    fill(bytes, &mut into).map(|()| into)
}

fn skip(bytes: &mut dyn Read, n: u64) -> Result<(), String> {
    let skipped = std::io::copy(&mut bytes.take(n), &mut std::io::sink()).map_err(|error| error.to_string())?;
    if skipped == n {
        Ok(())
    } else {
        Err("is truncated: it ends before its data".into())
    }
}
