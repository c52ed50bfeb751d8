//! From token ids to text: the pieces of a SentencePiece model, which is read, not run.
//! Source of the layout: `sentencepiece_model.proto` (field 1: pieces; in a piece 1 its text, 3 its type).

use crate::error::{Error, Result};

/// Stands for a space at the start of a word.
const WORD_START: char = '\u{2581}';
const MAX_PIECES: usize = 1 << 20;

/// Pieces by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    pieces: Vec<String>,
}

/// A word of a text: its tokens are `first .. end` of those that it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub first: usize,
    pub end: usize,
}

impl Pieces {
    pub fn new(pieces: Vec<String>) -> Self {
        Self { pieces }
    }

    /// From a `tokenizer.model`.
    ///
    /// Errors: [`Error::ModelFile`] for bytes that are no such file.
    pub fn from_sentencepiece(model: &str, bytes: &[u8]) -> Result<Self> {
        let fail = |message: &str| Error::ModelFile {
            model: model.to_owned(),
            file: "tokenizer.model",
            message: message.to_owned(),
        };
        let damaged = || fail("is no SentencePiece model");
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (field, value, tail) = field(rest).ok_or_else(damaged)?;
            rest = tail;
            let (1, Value::Bytes(mut piece)) = (field, value) else {
                continue;
            };
            let mut text = None;
            while !piece.is_empty() {
                let (number, value, tail) = self::field(piece).ok_or_else(damaged)?;
                if let (1, Value::Bytes(bytes)) = (number, value) {
                    text = Some(std::str::from_utf8(bytes).map_err(|_| damaged())?.to_owned());
                }
                piece = tail;
            }
            pieces.push(text.ok_or_else(damaged)?);
            if pieces.len() > MAX_PIECES {
                return Err(fail("has more than a million pieces"));
            }
        }
        if pieces.is_empty() {
            Err(damaged())
        } else {
            Ok(Self { pieces })
        }
    }

    /// From a `tokenizer.json`: its vocabulary is a map to ids, or a list of pieces and scores.
    ///
    /// Errors: [`Error::ModelFile`].
    pub fn from_tokenizer_json(model: &str, json: &str) -> Result<Self> {
        let fail = |message: String| Error::ModelFile {
            model: model.to_owned(),
            file: "tokenizer.json",
            message,
        };
        let json: serde_json::Value = serde_json::from_str(json).map_err(|error| fail(error.to_string()))?;
        let mut pieces = Vec::new();
        match &json["model"]["vocab"] {
            serde_json::Value::Object(map) => {
                pieces.resize(map.len(), String::new());
                for (piece, id) in map {
                    let slot = id.as_u64().and_then(|id| pieces.get_mut(usize::try_from(id).ok()?));
                    *slot.ok_or_else(|| fail(format!("gives {piece:?} the id {id} of {}", map.len())))? = piece.clone();
                }
            }
            serde_json::Value::Array(list) => {
                pieces.extend(list.iter().map(|entry| entry[0].as_str().unwrap_or_default().to_owned()));
            }
            _ => return Err(fail("has no vocabulary".into())),
        }
        Ok(Self { pieces })
    }

    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The text of ids; ids that are no pieces are left out.
    pub fn text(&self, ids: &[u32]) -> String {
        let text: String = ids.iter().map(|&id| self.piece(id)).collect();
        text.replace(WORD_START, " ").trim_start().to_owned()
    }

    /// The words of ids, cut where pieces begin one.
    pub fn words(&self, ids: &[u32]) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        for (i, &id) in ids.iter().enumerate() {
            let piece = self.piece(id);
            let text = piece.replace(WORD_START, "");
            match words.last_mut() {
                Some(word) if !piece.starts_with(WORD_START) => {
                    word.text.push_str(&text);
                    word.end = i + 1;
                }
                _ => words.push(Word {
                    text,
                    first: i,
                    end: i + 1,
                }),
            }
        }
        words.retain(|word| !word.text.is_empty());
        words
    }

    fn piece(&self, id: u32) -> &str {
        self.pieces.get(id as usize).map_or("", String::as_str)
    }
}

enum Value<'a> {
    Bytes(&'a [u8]),
    Other,
}

/// The first field of a message: its number, its value, and what follows.
fn field(bytes: &[u8]) -> Option<(u64, Value<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let (value, rest) = match key & 7 {
        0 => (Value::Other, varint(rest)?.1),
        1 => (Value::Other, rest.get(8..)?),
        2 => {
            let (len, rest) = varint(rest)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Value::Bytes(bytes), rest)
        }
        5 => (Value::Other, rest.get(4..)?),
        _ => return None,
    };
    Some((key >> 3, value, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(pieces: &[&str]) -> Vec<u8> {
        let piece = |text: &&str| {
            let body = [&[0x0a, text.len() as u8], text.as_bytes(), &[0x15, 0, 0, 0, 0, 0x18, 1]].concat();
            [vec![0x0a, body.len() as u8], body].concat()
        };
        let mut bytes: Vec<u8> = pieces.iter().flat_map(piece).collect();
        bytes.extend([0x12, 2, 0x18, 3]);
        bytes
    }

    #[test]
    fn pieces_are_joined_and_cut_into_words() {
        let pieces = Pieces::from_sentencepiece("m", &model(&["<unk>", "▁the", "▁", "n", "ew", "."])).expect("reads");
        assert_eq!(pieces.len(), 6);
        assert_eq!(pieces.text(&[1, 2, 3, 4, 5, 99]), "the new.");
        let words = pieces.words(&[1, 2, 3, 4, 5]);
        let found: Vec<_> = words.iter().map(|word| (word.text.as_str(), word.first, word.end)).collect();
        assert_eq!(found, [("the", 0, 1), ("new.", 1, 5)]);
        assert_eq!(pieces.words(&[3])[0].text, "n");
    }

    #[test]
    fn a_vocabulary_is_read_in_both_forms() {
        let expected = Pieces::new(["a", "b"].map(String::from).to_vec());
        for vocab in [r#"{"b": 1, "a": 0}"#, r#"[["a", 0.0], ["b", -1.5]]"#] {
            let json = format!(r#"{{"model": {{"vocab": {vocab}}}}}"#);
            assert_eq!(Pieces::from_tokenizer_json("m", &json).expect("reads"), expected);
        }
        for json in ["{", "{}", r#"{"model": {"vocab": {"a": 1}}}"#] {
            assert!(Pieces::from_tokenizer_json("m", json).is_err(), "{json}");
        }
    }

    #[test]
    fn bytes_that_are_no_model_are_refused() {
        let good = model(&["a"]);
        for bytes in [
            &[][..],
            &[0x0a, 200],
            &[0xff; 12],
            &good[..5],
            &[0x0a, 3, 0x0a, 1, 0xff],
            &[0x0a, 0],
        ] {
            assert!(Pieces::from_sentencepiece("m", bytes).is_err(), "{bytes:?}");
        }
    }
}
