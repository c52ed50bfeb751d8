//! Text as phonemes of American English, in the symbols that Piper's en-us voices were trained on (IPA as espeak-ng writes
//! it). No GPL code: CMUdict converted (`models/en-us`), trees for unknown words, `words.tsv` for those that are special.
//!
//! `sentence` says how words change beside each other, `word` how one is said by itself.

mod lexicon;
mod sentence;
mod word;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::normalize::{self, Normalized, Piece};
use crate::data::DataFile;
use crate::error::{Error, Result};
use lexicon::Lexicon;

const WORDS: &str = include_str!("words.tsv");

/// Reads English.
pub struct Phonemizer {
    lexicon: Lexicon,
    special: HashMap<&'static str, Forms>,
}

/// What a voice was trained on. The newer espeak-ng writes some sounds otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `piper-phonemize` 1: most published voices.
    #[default]
    Phonemize1,
    /// espeak-ng 1.52, which `piper-tts` bundles since 1.3: a glide `ʲ` between `i` and a vowel, `ɔːɹ` for `oːɹ`.
    Espeak152,
}

/// How a word is said: mostly, before a vowel, and at the end of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Forms {
    usual: String,
    before_vowel: String,
    last: String,
}

/// What is spoken in one go, up to a punctuation mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Words apart by spaces, then `mark`. Each `char` is a symbol (text and marks are in NFD).
    pub phonemes: String,
    /// One of `. ? ! , : ;`, or none at the end of a text.
    pub mark: Option<char>,
    pub words: Vec<SpokenWord>,
}

/// A word of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenWord {
    /// As it is said: `forty`.
    pub word: String,
    /// Bytes of the text that it stands for.
    pub range: Range<usize>,
    /// Its phonemes, counted in `char`s of the clause. Words that melt together share them.
    pub phonemes: Range<usize>,
}

impl Clause {
    /// Whether a sentence ends here.
    pub fn ends_sentence(&self) -> bool {
        matches!(self.mark, None | Some('.' | '?' | '!'))
    }
}

impl Phonemizer {
    /// The one phonemizer; the first call unpacks it.
    ///
    /// Errors: [`Error::Lexicon`], which is a fault of this program.
    pub fn get() -> Result<&'static Self> {
        static ONE: OnceLock<Option<Phonemizer>> = OnceLock::new();
        let one = ONE.get_or_init(|| Self::read().ok());
        one.as_ref().ok_or(Error::Lexicon { what: "contents" })
    }

    fn read() -> Result<Self> {
        let mut special = HashMap::new();
        for line in WORDS.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let (Some(word), Some(usual)) = (fields.next(), fields.next()) else {
                return Err(Error::Lexicon { what: "words.tsv" });
            };
            let forms = [fields.next(), fields.next()].map(|form| form.unwrap_or(usual).to_owned());
            let [before_vowel, last] = forms;
            let usual = usual.to_owned();
            special.insert(
                word,
                Forms {
                    usual,
                    before_vowel,
                    last,
                },
            );
        }
        Ok(Self {
            lexicon: Lexicon::read(DataFile::Lexicon.bytes())?,
            special,
        })
    }

    /// Whether a word in small letters is known.
    pub fn is_word(&self, word: &str) -> bool {
        self.special.contains_key(word) || self.lexicon.get(word).is_some()
    }

    /// A text as it is read.
    pub fn normalize(&self, text: &str) -> Normalized {
        normalize::normalize(text, &|word| self.is_word(word))
    }

    /// The clauses of a text that was normalised.
    pub fn clauses(&self, text: &Normalized, dialect: Dialect) -> Vec<Clause> {
        let mut clauses = Vec::new();
        let mut words = Vec::new();
        for piece in &text.pieces {
            match piece {
                Piece::Words { range, words: said } => words.extend(said.iter().map(|word| (range.clone(), word))),
                Piece::Mark(_) if words.is_empty() => {}
                Piece::Mark(mark) => clauses.push(self.clause(&std::mem::take(&mut words), Some(*mark), dialect)),
            }
        }
        if !words.is_empty() {
            clauses.push(self.clause(&words, None, dialect));
        }
        clauses
    }

    /// The clauses of a text.
    pub fn phonemize(&self, text: &str, dialect: Dialect) -> Vec<Clause> {
        self.clauses(&self.normalize(text), dialect)
    }
}

/// Clauses in one line, a space after each.
pub fn line(clauses: &[Clause]) -> String {
    let parts: Vec<&str> = clauses.iter().map(|clause| clause.phonemes.as_str()).collect();
    parts.join(" ")
}

/// Symbols of vowels, without stress and length.
fn is_vowel(symbol: char) -> bool {
    "aeiouæɛɪʊʌəɐɚᵻɔɑɜ".contains(symbol)
}

/// Whether something starts with the sound of a vowel.
fn starts_with_vowel(phonemes: &str) -> bool {
    phonemes.trim_start_matches(['ˈ', 'ˌ']).starts_with(is_vowel)
}

#[cfg(test)]
mod tests;
