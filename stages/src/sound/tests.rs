//! Files of every width, damaged files, and rates.

mod flac;

use std::io::Cursor;
use std::path::Path;

use super::*;

/// A WAV of this format tag, with these sample bytes.
fn wav(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let frame = channels * bits.div_ceil(8);
    let mut bytes = b"RIFF\0\0\0\0WAVEjunk\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * u32::from(frame)).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn open(bytes: Vec<u8>) -> Result<Sound> {
    Sound::read(Path::new("x.wav"), Box::new(Cursor::new(bytes)))
}

fn all(bytes: Vec<u8>) -> Result<Vec<f32>> {
    let mut sound = open(bytes)?;
    let mut samples = Vec::new();
    while let Some(block) = sound.next_block()? {
        samples.extend(block);
    }
    Ok(samples)
}

fn fault(bytes: Vec<u8>) -> String {
    all(bytes).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_width_is_read() {
    let half = |bytes: Vec<u8>| [bytes.clone(), bytes].concat();
    let cases: [(u16, u16, Vec<u8>); 6] = [
        (1, 8, vec![0xc0]),
        (1, 16, 0x4000i16.to_le_bytes().to_vec()),
        (1, 24, vec![0, 0, 0x40]),
        (1, 32, 0x4000_0000i32.to_le_bytes().to_vec()),
        (3, 32, 0.5f32.to_le_bytes().to_vec()),
        (3, 64, 0.5f64.to_le_bytes().to_vec()),
    ];
    for (tag, bits, sample) in cases {
        assert_eq!(
            all(wav(tag, 1, 8000, bits, &half(sample.clone()))).expect("reads"),
            [0.5, 0.5],
            "{bits}"
        );
        // Two channels: the mean, of one sample.
        let found = all(wav(tag, 2, 48_000, bits, &half(sample))).expect("reads");
        assert_eq!(found, [0.5], "{bits}");
    }
    // Not numbers are silence.
    let odd = [f32::NAN, f32::INFINITY].map(f32::to_le_bytes).concat();
    assert_eq!(all(wav(3, 1, 8000, 32, &odd)).expect("reads"), [0.0, 0.0]);
}

#[test]
fn bad_files_are_named() {
    let good = wav(1, 1, 16_000, 16, &[0; 8]);
    let cases: [(&str, Vec<u8>); 9] = [
        ("is empty", Vec::new()),
        ("neither WAV nor FLAC", b"ID3\x03".to_vec()),
        ("no WAV", b"RIFF\0\0\0\0AVI ".to_vec()),
        ("ends before its data", good[..40].to_vec()),
        ("it has 2 of 4 samples", good[..good.len() - 4].to_vec()),
        ("holds no sound", wav(1, 1, 16_000, 16, &[])),
        ("compressed (format 85)", wav(85, 1, 16_000, 16, &[0; 4])),
        ("at 3 Hz", wav(1, 1, 3, 16, &[0; 4])),
        ("no FLAC", b"fLaCxx".to_vec()),
    ];
    for (expected, bytes) in cases {
        let error = fault(bytes);
        assert!(error.contains(expected) && error.starts_with("x.wav"), "{expected}: {error}");
    }
    for cut in 0..good.len() {
        assert!(!fault(good[..cut].to_vec()).is_empty(), "{cut}");
    }
}

#[test]
fn a_stream_without_a_size_is_read_to_its_end() {
    let mut bytes = wav(1, 1, 16_000, 16, &[0; 8]);
    let at = bytes.len() - 12;
    bytes[at..at + 4].fill(0xff);
    assert_eq!(all(bytes).expect("reads").len(), 4);
}

#[test]
fn resampling_keeps_a_tone_its_length_and_its_place() {
    for rate in [8000u32, 11_025, 22_050, 44_100, 48_000, 16_000] {
        let tone = |rate: u32, n: usize| -> Vec<f32> {
            let angle = |i: usize| 2.0 * std::f32::consts::PI * 440.0 * i as f32 / rate as f32;
            (0..n).map(|i| angle(i).sin()).collect()
        };
        let samples = tone(rate, rate as usize + 7);
        let mut expected = None;
        for size in [1000, 333, samples.len()] {
            let mut resample = Resample::new(rate, 16_000).expect("a rate");
            let mut out: Vec<f32> = samples.chunks(size).flat_map(|piece| resample.push(piece)).collect();
            out.extend(resample.finish());
            let due = (samples.len() * 16_000).div_ceil(rate as usize);
            assert_eq!(out.len(), due, "{rate}");
            let clean = tone(16_000, due);
            let worst = (1000..due - 1000).map(|i| (out[i] - clean[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate}: {worst}");
            assert_eq!(*expected.get_or_insert_with(|| out.clone()), out, "{rate} by {size}");
        }
    }
}

#[test]
fn three_hours_are_streamed() {
    // As a file of 8 kHz, 8 bits: 86 MB that are never in memory.
    struct Hours(u64);
    impl Read for Hours {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let n = (into.len() as u64).min(self.0) as usize;
            into[..n].fill(0x80);
            self.0 -= n as u64;
            Ok(n)
        }
    }
    let n = 3 * 3600 * 8000u32;
    let mut head = wav(1, 1, 8000, 8, &[]);
    let at = head.len() - 4;
    head[at..].copy_from_slice(&n.to_le_bytes());
    let bytes = Cursor::new(head).chain(Hours(n.into()));
    let mut sound = Sound::read(Path::new("long.wav"), Box::new(bytes)).expect("opens");
    let (mut total, mut largest) = (0, 0);
    while let Some(block) = sound.next_block().expect("reads") {
        total += block.len();
        largest = largest.max(block.len());
    }
    assert_eq!((total, largest), (n as usize, 4096));
}
