//! Numbers, texts and lists as bytes, little-endian. Reading takes nothing for granted: lengths are held to what is there.

use std::time::Duration;

use crate::error::Error;
use crate::time::Timestamp;

type Result<T> = std::result::Result<T, Error>;

/// Bytes that are being written.
#[derive(Clone, Debug, Default)]
pub struct Out(pub Vec<u8>);

impl Out {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(value.into())
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    pub fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    pub fn f32(&mut self, value: f32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn f64(&mut self, value: f64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// In nanoseconds; half a thousand years at most.
    pub fn duration(&mut self, value: Duration) -> &mut Self {
        self.number(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX))
    }

    pub fn time(&mut self, value: Timestamp) -> &mut Self {
        self.duration(value.0)
    }

    /// The bytes alone.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The length, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).raw(bytes)
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
        self
    }

    /// The count, then each item.
    pub fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut put: impl FnMut(&mut Self, T)) -> &mut Self {
        self.number(items.len() as u64);
        items.for_each(|item| put(self, item));
        self
    }
}

/// Bytes that are being read. Every method fails with [`Error::Malformed`] where the bytes do not hold what is asked for.
#[derive(Clone, Debug)]
pub struct In<'a>(&'a [u8]);

fn malformed<T>(what: &'static str) -> Result<T> {
    Err(Error::Malformed { what })
}

impl<'a> In<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes that were not read yet.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Errors: [`Error::Malformed`] if something is left.
    pub fn end(&self) -> Result<()> {
        match self.0 {
            [] => Ok(()),
            _ => malformed("more bytes than it needs"),
        }
    }

    pub fn raw(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some((head, tail)) = self.0.split_at_checked(n) else {
            return malformed("too few bytes");
        };
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((head, tail)) = self.0.split_first_chunk::<N>() else {
            return malformed("too few bytes");
        };
        self.0 = tail;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    pub fn bool(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => malformed("neither yes nor no"),
        }
    }

    /// See [`Out::number`].
    pub fn number(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        malformed("a number above 64 bits")
    }

    /// A number of a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T> {
        T::try_from(self.number()?).or_else(|_| malformed("a number that is too large"))
    }

    pub fn duration(&mut self) -> Result<Duration> {
        Ok(Duration::from_nanos(self.number()?))
    }

    pub fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp(self.duration()?))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.small()?;
        self.raw(n)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).or_else(|_| malformed("a text that is not UTF-8"))
    }

    pub fn string(&mut self) -> Result<String> {
        Ok(self.text()?.to_owned())
    }

    pub fn option<T>(&mut self, take: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        self.bool()?.then(|| take(self)).transpose()
    }

    /// A list whose items have `min_bytes` (not 0) each at least, so that a count that lies is found out before memory is taken.
    pub fn list<T>(&mut self, min_bytes: usize, mut take: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let n: usize = self.small()?;
        if n.checked_mul(min_bytes.max(1)).is_none_or(|bytes| bytes > self.left()) {
            return malformed("a list that is longer than its bytes");
        }
        (0..n).map(|_| take(self)).collect()
    }
}

/// 64 bits that tell bytes apart that are different by accident. Source: the FNV-1a hash of Fowler, Noll and Vo, over words of
/// eight bytes (the last one padded with zeros) and the length.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(PRIME);
        // A multiplication alone never moves a bit down.
        mixed ^ (mixed >> 32)
    };
    let (words, tail) = bytes.as_chunks::<8>();
    let hash = words
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    mix(mix(hash, u64::from_le_bytes(last)), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, small: u32, text: String, bytes: Vec<u8>, half: f32, list: Vec<u64>) {
            let mut out = Out::new();
            out.number(number).number(small.into()).text(&text).bytes(&bytes).f32(half);
            out.option(Some(number), |out, value| { out.number(value); });
            out.list(list.iter(), |out, value| { out.number(*value); });
            let mut bytes_in = In::new(&out.0);
            prop_assert_eq!(bytes_in.number().unwrap(), number);
            prop_assert_eq!(bytes_in.small::<u32>().unwrap(), small);
            prop_assert_eq!(bytes_in.string().unwrap(), text);
            prop_assert_eq!(bytes_in.bytes().unwrap(), &bytes[..]);
            prop_assert_eq!(bytes_in.f32().unwrap().to_bits(), half.to_bits());
            prop_assert_eq!(bytes_in.option(In::number).unwrap(), Some(number));
            prop_assert_eq!(bytes_in.list(1, In::number).unwrap(), list);
            prop_assert!(bytes_in.end().is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = In::new(&bytes).number();
            let _ = In::new(&bytes).text();
            let _ = In::new(&bytes).list(1, In::number);
            let _ = In::new(&bytes).option(In::time);
        }
    }

    #[test]
    fn a_count_that_lies_takes_no_memory() {
        let mut out = Out::new();
        out.number(u64::MAX >> 1).u8(0);
        assert!(In::new(&out.0).list(1, In::u8).is_err());
        assert!(In::new(&out.0).bytes().is_err());
        assert!(In::new(&[0xff; 10]).number().is_err(), "above 64 bits");
    }

    #[test]
    fn a_fingerprint_hangs_on_every_bit_and_on_the_length() {
        let bytes: Vec<u8> = (0..100).collect();
        let whole = fingerprint(&bytes);
        for at in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[at / 8] ^= 1 << (at % 8);
            assert_ne!(fingerprint(&other), whole, "bit {at}");
        }
        assert_ne!(fingerprint(&[0; 8]), fingerprint(&[0; 9]));
        assert_ne!(fingerprint(&[]), fingerprint(&[0]));
    }
}
