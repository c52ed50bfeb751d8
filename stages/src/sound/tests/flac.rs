//! FLAC made here, whose samples are known: every width, two channels, a stream that is cut, hours that are never in memory.
//! Source of the layout: RFC 9639.

use std::io::Read;

use super::*;

/// A checksum of `width` bits, the most significant first.
fn crc(bytes: &[u8], polynomial: u32, width: u32) -> u32 {
    let (top, mask) = (1u32 << (width - 1), ((1u64 << width) - 1) as u32);
    bytes.iter().fold(0, |mut crc, &byte| {
        crc ^= u32::from(byte) << (width - 8);
        for _ in 0..8 {
            crc = if crc & top != 0 { crc << 1 ^ polynomial } else { crc << 1 } & mask;
        }
        crc
    })
}

/// The low bytes of a number, the most significant first.
fn big(value: u64, n_bytes: usize) -> Vec<u8> {
    value.to_be_bytes()[8 - n_bytes..].to_vec()
}

/// What the head of a stream says.
#[derive(Clone, Copy)]
struct Kind {
    rate_hz: u32,
    channels: u8,
    bits: u8,
    n_frames: u64,
}

fn head(kind: Kind, block: u16) -> Vec<u8> {
    let packed =
        u64::from(kind.rate_hz) << 44 | u64::from(kind.channels - 1) << 41 | u64::from(kind.bits - 1) << 36 | kind.n_frames;
    let sizes = [big(block.into(), 2), big(block.into(), 2), big(0, 6)].concat();
    [b"fLaC\x80\0\0\x22".to_vec(), sizes, big(packed, 8), vec![0; 16]].concat()
}

/// A block: of each channel either all samples, or one that stands for `n` of them.
fn block(kind: Kind, number: u32, n: u16, channels: &[Vec<i32>]) -> Vec<u8> {
    let mut utf8 = Vec::new();
    // As UTF-8 has code points; those of surrogates do not come up below 55,296.
    match number {
        0..0x80 => utf8.push(number as u8),
        0x80..0x800 => utf8.extend([0xc0 | (number >> 6) as u8, 0x80 | (number & 0x3f) as u8]),
        _ => utf8.extend([
            0xe0 | (number >> 12) as u8,
            0x80 | (number >> 6 & 0x3f) as u8,
            0x80 | (number & 0x3f) as u8,
        ]),
    }
    // Of 8, 16 and 24 bits.
    let bits = [1, 4, 6][usize::from(kind.bits / 8 - 1)];
    let mut bytes = vec![0xff, 0xf8, 0x70, (kind.channels - 1) << 4 | bits << 1];
    bytes.extend(utf8);
    bytes.extend(big(u64::from(n) - 1, 2));
    bytes.push(crc(&bytes, 0x07, 8) as u8);
    for samples in channels {
        let is_constant = samples.len() == 1;
        bytes.push(if is_constant { 0 } else { 2 });
        for &sample in samples {
            bytes.extend(big(sample as u64, usize::from(kind.bits / 8)));
        }
    }
    bytes.extend(big(crc(&bytes, 0x8005, 16).into(), 2));
    bytes
}

#[test]
fn every_width_of_flac_is_read() {
    for bits in [8, 16, 24] {
        for (channels, rate_hz) in [(1, 8000), (2, 48_000)] {
            let half = 1i32 << (bits - 2);
            let kind = Kind {
                rate_hz,
                channels,
                bits,
                n_frames: 5,
            };
            let first = vec![vec![half, -half, 0]; channels.into()];
            let last = vec![vec![-half]; channels.into()];
            let bytes = [head(kind, 16), block(kind, 0, 3, &first), block(kind, 1, 2, &last)].concat();
            let sound = open(bytes.clone()).expect("opens");
            assert_eq!((sound.spec.rate_hz, sound.spec.channels), (rate_hz, channels.into()));
            assert_eq!(
                all(bytes).expect("reads"),
                [0.5, -0.5, 0.0, -0.5, -0.5],
                "{bits} bits, {channels} channels"
            );
        }
    }
}

#[test]
fn a_flac_that_is_cut_gives_what_there_is_and_says_so() {
    let kind = Kind {
        rate_hz: 16_000,
        channels: 1,
        bits: 16,
        n_frames: 6,
    };
    let blocks: Vec<Vec<u8>> = (0..2).map(|number| block(kind, number, 3, &[vec![100, 200, 300]])).collect();
    let whole = [head(kind, 16), blocks.concat()].concat();
    assert_eq!(all(whole.clone()).expect("reads").len(), 6);
    let first = whole.len() - blocks[1].len();
    for cut in 0..whole.len() {
        let bytes = whole[..cut].to_vec();
        assert!(!fault(bytes.clone()).is_empty(), "{cut}");
        let n = open(bytes).ok().map_or(0, |mut sound| {
            let blocks = std::iter::from_fn(|| sound.next_block().ok().flatten());
            blocks.map(|block| block.len()).sum()
        });
        assert_eq!(n, if cut < first { 0 } else { 3 }, "{cut}");
    }
    let mut damaged = whole;
    let at = damaged.len() - 4;
    damaged[at] ^= 1;
    assert!(fault(damaged).contains("damaged"));
}

#[test]
fn three_hours_of_flac_are_streamed() {
    const BLOCK: u16 = 4096;
    let n_blocks = 3 * 3600 * 16_000 / u32::from(BLOCK);
    let kind = Kind {
        rate_hz: 16_000,
        channels: 1,
        bits: 16,
        n_frames: u64::from(n_blocks) * u64::from(BLOCK),
    };
    /// Blocks that are made when they are read.
    struct Blocks {
        kind: Kind,
        numbers: std::ops::Range<u32>,
        rest: Vec<u8>,
    }
    impl Read for Blocks {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.rest.is_empty()
                && let Some(number) = self.numbers.next()
            {
                self.rest = block(self.kind, number, BLOCK, &[vec![(number % 1000) as i32]]);
            }
            let n = into.len().min(self.rest.len());
            into[..n].copy_from_slice(&self.rest[..n]);
            self.rest.drain(..n);
            Ok(n)
        }
    }
    let blocks = Blocks {
        kind,
        numbers: 0..n_blocks,
        rest: Vec::new(),
    };
    let bytes = Cursor::new(head(kind, BLOCK)).chain(blocks);
    let mut sound = Sound::read(Path::new("long.flac"), Box::new(bytes)).expect("opens");
    let (mut total, mut largest) = (0u64, 0);
    while let Some(block) = sound.next_block().expect("reads") {
        total += block.len() as u64;
        largest = largest.max(block.len());
    }
    assert_eq!((total, largest), (kind.n_frames, usize::from(BLOCK)));
}
