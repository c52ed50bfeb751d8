//! The wire format of protocol buffers, as far as ONNX files need it: fields one after the other, read and written.

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Number(u64),
    /// A text, a message, packed numbers.
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
}

impl<'a> Value<'a> {
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// The fields of a message: number, value, and the field's bytes as they stand. Broken bytes end it with `None`.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Option<(u64, Value<'_>, &[u8])>> {
    let mut rest = message;
    let mut is_broken = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || is_broken {
            return None;
        }
        let before = rest;
        let field = field(&mut rest);
        is_broken = field.is_none();
        Some(field.map(|(number, value)| (number, value, &before[..before.len() - rest.len()])))
    })
}

/// All fields, or `None` if a byte is wrong.
pub fn all_fields(message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    fields(message)
        .map(|field| field.map(|(number, value, _)| (number, value)))
        .collect()
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Fixed64(*take(rest, 8)?.first_chunk()?),
        2 => {
            let n_bytes = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, n_bytes)?)
        }
        5 => Value::Fixed32(*take(rest, 4)?.first_chunk()?),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], n_bytes: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n_bytes)?;
    *rest = tail;
    Some(head)
}

pub fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Repeated numbers: packed, or one a field.
pub fn numbers(value: Value<'_>) -> Option<Vec<u64>> {
    match value {
        Value::Number(number) => Some(vec![number]),
        Value::Bytes(mut rest) => {
            let mut numbers = Vec::new();
            while !rest.is_empty() {
                numbers.push(varint(&mut rest)?);
            }
            Some(numbers)
        }
        _ => None,
    }
}

/// Writes messages.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.0.push(u8::try_from(value & 0x7F).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or(0));
    }

    pub fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    pub fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A message that `write` fills.
    pub fn message(&mut self, field: u64, write: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.number(1, 300);
        writer.message(2, |inner| inner.bytes(8, "name".as_bytes()));
        let fields = all_fields(&writer.0).unwrap();
        assert_eq!(fields[0], (1, Value::Number(300)));
        let inner = all_fields(fields[1].1.bytes().unwrap()).unwrap();
        assert_eq!(inner, [(8, Value::Bytes(b"name"))]);
        assert_eq!(numbers(Value::Bytes(&[1, 0xAC, 2])), Some(vec![1, 300]));
    }

    #[test]
    fn broken_bytes_are_none() {
        for broken in [
            &[0x0A, 5, 1][..],
            &[0x80],
            &[0x0B],
            &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            &[0x0D, 1],
        ] {
            assert_eq!(all_fields(broken), None, "{broken:?}");
        }
        assert_eq!(all_fields(&[]), Some(Vec::new()));
    }
}
