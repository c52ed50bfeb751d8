//! Ids from text and text from ids, with a checkpoint's own `tokenizer.json` (byte-level BPE).
//!
//! Text that the program trusts (a rendered template) may name added tokens such as `<|im_end|>`; text of a person or
//! of a screen may not: there they are spelled out in ordinary tokens. See [`Bpe::ids_from_rendered`].

use std::collections::HashMap;
use std::fmt;

use tokenizers::tokenizer::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer,
};
use tokenizers::{DecoderWrapper, NormalizerWrapper};

use crate::error::{Error, Result};
use crate::tokens::rendered::Rendered;

/// A tokenizer; share it behind an `Arc`.
pub struct Bpe {
    tokenizer: Tokenizer,
    bytes: HashMap<char, u8>,
}

impl fmt::Debug for Bpe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bpe")
            .field("vocab_size", &self.tokenizer.get_vocab_size(true))
            .finish_non_exhaustive()
    }
}

impl Bpe {
    /// Reads a `tokenizer.json`.
    ///
    /// Errors: [`Error::Tokenizer`] if it is malformed, or not byte-level.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(tokenizer_error)?;
        if !matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_))) {
            return Err(Error::Tokenizer {
                message: "the decoder is not ByteLevel, the only supported one".into(),
            });
        }
        // A file may carry a training run's cut-off and padding; a prompt is neither cut nor padded.
        tokenizer.with_padding(None).with_truncation(None).map_err(tokenizer_error)?;
        Ok(Self {
            tokenizer,
            bytes: byte_of_char(),
        })
    }

    /// The id of a token by its exact spelling.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Whether a token is one of those that never belong to a text, such as `<|im_end|>` (but not `<think>`).
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.tokenizer.get_added_vocabulary();
        added.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    }

    /// The first characters of all added tokens: what text must be guarded after, see [`Rendered`].
    pub fn added_token_starts(&self) -> Vec<char> {
        let added = self.tokenizer.get_added_vocabulary();
        let mut starts: Vec<char> = added
            .get_added_tokens_decoder()
            .values()
            .filter_map(|token| token.content.chars().next())
            .collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Ids of trusted text: added tokens in it are matched.
    pub fn ids_from_template(&self, text: &str) -> Result<Vec<u32>> {
        self.ids_from_rendered(&Rendered::trusted(text))
    }

    /// Ids of text that is not trusted: no added token can come out.
    pub fn ids_from_content(&self, text: &str) -> Result<Vec<u32>> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.tokenizer.get_normalizer() {
            normalizer.normalize(&mut normalized).map_err(tokenizer_error)?;
        }
        let mut pieces = PreTokenizedString::from(normalized);
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces).map_err(tokenizer_error)?;
        }
        let model = self.tokenizer.get_model();
        pieces
            .tokenize(|piece| model.tokenize(piece.get()))
            .map_err(tokenizer_error)?;
        let encoding = pieces.into_encoding(None, 0, OffsetType::None).map_err(tokenizer_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of a rendered conversation: added tokens that the template wrote are matched, those in guarded text are not.
    pub fn ids_from_rendered(&self, rendered: &Rendered) -> Result<Vec<u32>> {
        let added = self.tokenizer.get_added_vocabulary();
        let parts = added.extract_and_normalize(None::<&NormalizerWrapper>, rendered.guarded());
        let mut ids = Vec::new();
        for (text, _, tokens) in parts.get_splits(OffsetReferential::Original, OffsetType::None) {
            match tokens {
                Some(tokens) => ids.extend(tokens.iter().map(|token| token.id)),
                None => ids.extend(self.ids_from_content(&rendered.unguard(text))?),
            }
        }
        Ok(ids)
    }

    /// Text of ids at once; bytes that are not UTF-8 become U+FFFD, unknown ids nothing.
    pub fn text_from_ids(&self, ids: &[u32], skip_special: bool) -> String {
        let mut bytes = Vec::new();
        for &id in ids {
            if !(skip_special && self.is_special(id)) {
                self.append_bytes(id, &mut bytes);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Appends the bytes that a token stands for.
    fn append_bytes(&self, id: u32, bytes: &mut Vec<u8>) {
        let Some(token) = self.tokenizer.id_to_token(id) else {
            return;
        };
        let start = bytes.len();
        for c in token.chars() {
            match self.bytes.get(&c) {
                Some(&byte) => bytes.push(byte),
                None => {
                    // Not in the byte alphabet: an added token, which stands for itself.
                    bytes.truncate(start);
                    bytes.extend_from_slice(token.as_bytes());
                    return;
                }
            }
        }
    }
}

/// Text of ids as they come: the bytes of an unfinished character are held back.
#[derive(Clone, Debug, Default)]
pub struct StreamDecoder {
    held: Vec<u8>,
}

impl StreamDecoder {
    /// What these ids add to the text. Special tokens add nothing.
    pub fn step(&mut self, bpe: &Bpe, ids: &[u32]) -> String {
        for &id in ids {
            if !bpe.is_special(id) {
                bpe.append_bytes(id, &mut self.held);
            }
        }
        let whole = whole_characters(&self.held);
        let text = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        self.held.drain(..whole);
        text
    }

    /// What is left at the end: U+FFFD for an unfinished character, or nothing.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

/// The length of `bytes` without a character that has begun but may still be completed.
fn whole_characters(bytes: &[u8]) -> usize {
    // An unfinished character is at most three bytes long and begins with its lead byte.
    for back in 1..=bytes.len().min(3) {
        let start = bytes.len() - back;
        match bytes[start] {
            0x80..=0xbf => continue,
            _ => {
                let unfinished =
                    matches!(std::str::from_utf8(&bytes[start..]), Err(e) if e.valid_up_to() == 0 && e.error_len().is_none());
                return if unfinished { start } else { bytes.len() };
            }
        }
    }
    bytes.len()
}

/// The printable character that stands for each byte in a byte-level vocabulary (GPT-2's alphabet).
fn byte_of_char() -> HashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100u32;
    (0..=255u8)
        .filter_map(|byte| {
            let code = if printable(byte) {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            Some((char::from_u32(code)?, byte))
        })
        .collect()
}

fn tokenizer_error(error: tokenizers::Error) -> Error {
    Error::Tokenizer {
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_alphabet_is_a_bijection() {
        let map = byte_of_char();
        assert_eq!(map.len(), 256);
        for (c, byte) in [('A', b'A'), ('Ġ', b' '), ('Ċ', b'\n'), ('ł', 0xa0), ('Ń', 0xad), ('Ā', 0)] {
            assert_eq!(map.get(&c), Some(&byte), "{c}");
        }
    }

    #[test]
    fn only_a_character_that_may_still_be_finished_is_held() {
        let cases: [(&[u8], usize); 8] = [
            (b"ab", 2),
            ("é".as_bytes(), 2),
            (b"a\xc3", 1),
            (b"a\xf0\x9f\x98", 1),
            ("😀".as_bytes(), 4),
            (b"a\x80\x80\x80\x80", 5),
            (b"a\xff", 2),
            (b"\xe2\x28", 2),
        ];
        for (bytes, whole) in cases {
            assert_eq!(whole_characters(bytes), whole, "{bytes:x?}");
        }
    }

    #[test]
    fn malformed_files_are_errors() {
        for json in [
            &b""[..],
            b"{}",
            b"not json",
            br#"{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":[]}}"#,
        ] {
            assert!(matches!(Bpe::from_json(json), Err(Error::Tokenizer { .. })));
        }
    }
}
