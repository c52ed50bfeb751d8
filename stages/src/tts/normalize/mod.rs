//! Text as a person would read it aloud: numbers, dates, money, units, abbreviations, addresses, file names, code.
//!
//! `table.tsv` holds what is known by heart, `rules` what follows from the form. What the rules give is a string of words
//! in which letters with dots between them are spelled (`r.s`) and a lone `,` is a pause. Not for how words sound.

mod address;
mod chunk;
mod code;
mod date;
mod number;
mod quantity;
mod rules;
mod table;

use std::fmt;
use std::ops::Range;

use chunk::Chunk;

/// A word to be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Plain(String),
    /// Small letters, spelled one by one; it may end in `'s`.
    Letters(String),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Plain(word) => f.write_str(word),
            Word::Letters(letters) => {
                let (letters, suffix) = letters.split_once('\'').map_or((letters.as_str(), ""), |(l, _)| (l, "'s"));
                for (index, letter) in letters.chars().enumerate() {
                    let gap = if index > 0 { " " } else { "" };
                    write!(f, "{gap}{}", letter.to_uppercase())?;
                }
                f.write_str(suffix)
            }
        }
    }
}

/// A piece of what is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Words {
        /// Bytes of the text that these words stand for.
        range: Range<usize>,
        words: Vec<Word>,
    },
    /// One of `. ? ! , : ;`.
    Mark(char),
}

/// A text as it is spoken. `Display` writes it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalized {
    /// Begins with words and has no two marks in a row.
    pub pieces: Vec<Piece>,
    /// Letters and pictures that were passed over: of a script that is not read, or without a name.
    pub n_unspoken: usize,
}

impl fmt::Display for Normalized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for piece in &self.pieces {
            match piece {
                Piece::Mark(mark) => write!(f, "{mark}")?,
                Piece::Words { words, .. } => {
                    for word in words {
                        let gap = if is_first { "" } else { " " };
                        write!(f, "{gap}{word}")?;
                        is_first = false;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads `text` as it is to be spoken; `is_word` says whether a word in small letters is in the dictionary.
pub fn normalize(text: &str, is_word: &dyn Fn(&str) -> bool) -> Normalized {
    let chunks = chunk::chunks(text);
    let mut out = Writer::default();
    let mut at = 0;
    while let Some(chunk) = chunks.get(at) {
        let said = rules::say(&rules::Reader::new(&chunks, at, is_word));
        let last = &chunks[at + said.n_chunks.max(1) - 1];
        if chunk.lead.contains(&'(') {
            out.pause();
        }
        out.n_unspoken += said.n_unspoken;
        out.words(chunk.range.start..last.range.end, &said.words);
        at += said.n_chunks.max(1);
        out.marks(&last.tail, chunks.get(at));
        if said.ends_sentence {
            out.mark('.');
        }
    }
    out.finish()
}

#[derive(Default)]
struct Writer {
    pieces: Vec<Piece>,
    n_unspoken: usize,
}

impl Writer {
    /// Words as rules give them.
    fn words(&mut self, range: Range<usize>, said: &str) {
        for part in said.split(',').map(str::trim).enumerate() {
            let (index, part) = part;
            if index > 0 {
                self.pause();
            }
            let words: Vec<Word> = part.split_whitespace().filter_map(word).collect();
            if !words.is_empty() {
                let range = range.clone();
                self.pieces.push(Piece::Words { range, words });
            }
        }
    }

    fn pause(&mut self) {
        if matches!(self.pieces.last(), Some(Piece::Words { .. })) {
            self.pieces.push(Piece::Mark(','));
        }
    }

    fn mark(&mut self, mark: char) {
        match self.pieces.last_mut() {
            None => {}
            Some(Piece::Words { .. }) => self.pieces.push(Piece::Mark(mark)),
            Some(Piece::Mark(last)) if weight(mark) > weight(*last) => *last = mark,
            Some(Piece::Mark(_)) => {}
        }
    }

    /// Punctuation behind a chunk; `next` is the chunk after it.
    fn marks(&mut self, tail: &[char], next: Option<&Chunk>) {
        for (index, mark) in tail.iter().enumerate() {
            match mark {
                '…' if next.is_none_or(Chunk::starts_upper) => self.mark('.'),
                '…' => self.pause(),
                ')' if index + 1 == tail.len() && next.is_some() => self.pause(),
                ')' => {}
                _ => self.mark(*mark),
            }
        }
    }

    fn finish(mut self) -> Normalized {
        if matches!(self.pieces.last(), Some(Piece::Mark(','))) {
            self.pieces.pop();
        }
        Normalized {
            pieces: self.pieces,
            n_unspoken: self.n_unspoken,
        }
    }
}

/// Which of several marks in a row stays.
fn weight(mark: char) -> u32 {
    match mark {
        '?' => 5,
        '!' => 4,
        '.' => 3,
        ':' | ';' => 2,
        _ => 1,
    }
}

/// A word of a rule's string: `r.s` and `a.` are spelled.
fn word(said: &str) -> Option<Word> {
    if said.contains('.') {
        let letters: String = said.chars().filter(|c| *c != '.').flat_map(char::to_lowercase).collect();
        return (!letters.is_empty()).then_some(Word::Letters(letters));
    }
    (!said.is_empty()).then(|| Word::Plain(said.to_owned()))
}

#[cfg(test)]
mod tests;
