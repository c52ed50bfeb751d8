//! Which words of a text, as they are written, are heard in which unit: "14:05" is one of them, however many are said for it.
//! Not when they are heard (`speaker`).

use std::ops::Range;

use super::speaker::Unit;

/// A word as it is written, and which of a unit's spoken words it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// With the marks that touch it.
    pub text: String,
    /// Of the unit's words.
    pub spoken: Range<usize>,
}

/// The written words of each unit of `text`, in order; joined by spaces they are the text, white space collapsed, but for what is not
/// said and stands apart. What is said in two units belongs to the later one.
pub fn written_words(text: &str, units: &[Unit]) -> Vec<Vec<Written>> {
    let mut all: Vec<Vec<(Range<usize>, Range<usize>)>> = Vec::new();
    for unit in units {
        let mut words: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for (index, word) in unit.words.iter().enumerate() {
            match words.last_mut() {
                Some((range, spoken)) if is_same(text, range, &word.range) => {
                    range.end = range.end.max(word.range.end);
                    spoken.end = index + 1;
                }
                _ => words.push((word.range.clone(), index..index + 1)),
            }
        }
        let first = words.first().map(|(range, _)| range.clone());
        let before = all.iter_mut().rev().find(|words| !words.is_empty());
        if let (Some(first), Some(before)) = (first, before)
            && before.last().is_some_and(|(range, _)| is_same(text, range, &first))
        {
            before.pop();
        }
        all.push(words);
    }
    let starts: Vec<usize> = all.iter().flatten().map(|(range, _)| range.start).collect();
    let mut index = 0;
    let mut named = |spoken: Range<usize>| {
        let start = if index == 0 { 0 } else { starts[index] };
        index += 1;
        let end = starts.get(index).copied().unwrap_or(text.len());
        let slice = text.get(start..end.max(start)).unwrap_or_default();
        Written {
            text: slice.split_whitespace().collect::<Vec<_>>().join(" "),
            spoken,
        }
    };
    let named = |words: Vec<(Range<usize>, Range<usize>)>| words.into_iter().map(|(_, spoken)| named(spoken)).collect();
    all.into_iter().map(named).collect()
}

/// Whether two spoken words stand for one written word: no white space is between them.
fn is_same(text: &str, before: &Range<usize>, after: &Range<usize>) -> bool {
    let end = after.end.max(before.end);
    let word = text.get(before.start..end).unwrap_or_default();
    before.start <= after.start && !word.contains(char::is_whitespace) || before == after || after.start < before.end
}

#[cfg(test)]
mod tests {
    use super::super::phonemes::{Dialect, Phonemizer};
    use super::super::speaker::units;
    use super::*;

    fn written(text: &str) -> Vec<Vec<String>> {
        let units = units(Phonemizer::get().unwrap().phonemize(text, Dialect::default()));
        let words = written_words(text, &units);
        assert_eq!(words.len(), units.len());
        for (words, unit) in words.iter().zip(&units) {
            let mut next = words.first().map_or(0, |word| word.spoken.start);
            for word in words {
                assert_eq!(word.spoken.start, next, "{text}: {words:?}");
                next = word.spoken.end;
            }
            assert!(words.is_empty() || next == unit.words.len(), "{text}: {words:?}");
        }
        let texts = words
            .into_iter()
            .map(|words| words.into_iter().map(|word| word.text).collect());
        texts.collect()
    }

    #[test]
    fn words_are_those_that_are_written() {
        let found = written("At 14:05, \"build.rs\" failed (again). Why? It costs $3.50 - 20% more.");
        let flat: Vec<&str> = found.iter().flatten().map(String::as_str).collect();
        assert_eq!(
            flat,
            [
                "At",
                "14:05,",
                "\"build.rs\"",
                "failed",
                "(again).",
                "Why?",
                "It",
                "costs",
                "$3.50",
                "-",
                "20%",
                "more."
            ]
        );
    }

    #[test]
    fn all_words_joined_are_the_text() {
        for text in [
            "When the build is done, the tests run, then it ends. Good.",
            "See https://example.org/a?b=c, e.g. on Tuesday, March 4th, 2025.",
            "\u{201c}Yes\u{201d} \u{2014} she said\u{2026} \"no\"!",
            "One\ntwo\t three",
        ] {
            let found: Vec<String> = written(text).into_iter().flatten().collect();
            assert_eq!(found.join(" "), text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        let long = "supercalifragilistic ".repeat(60);
        let found: Vec<String> = written(&long).into_iter().flatten().collect();
        assert_eq!(found.join(" "), long.trim());
    }
}
