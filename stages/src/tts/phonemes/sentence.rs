//! How words change beside each other: pairs that melt, forms before vowels and at the end, linking `ɹ`.

use std::ops::Range;

use super::word::spelled;
use super::{Clause, Dialect, Forms, Phonemizer, SpokenWord, starts_with_vowel};
use crate::tts::normalize::Word;

/// With a glide between `iː` and a vowel, at the end also behind `i` and `ðɪ`.
fn glided(form: &str, is_before_vowel: bool) -> String {
    let mut glided = String::new();
    for (at, c) in form.char_indices() {
        glided.push(c);
        let is_long = glided.ends_with("iː");
        if is_long && starts_with_vowel(&form[at + c.len_utf8()..]) {
            glided.push('ʲ');
        }
    }
    if is_before_vowel && (glided.ends_with(['i', 'ʲ']) || glided.ends_with("iː") || glided.ends_with("ðɪ")) {
        glided.push('ʲ');
    }
    glided
}

/// Words that are said as one.
struct Group<'a> {
    words: &'a [(Range<usize>, &'a Word)],
    forms: Forms,
}

impl Phonemizer {
    /// Words of a clause together.
    pub(super) fn clause(&self, words: &[(Range<usize>, &Word)], mark: Option<char>, dialect: Dialect) -> Clause {
        let groups = self.groups(words);
        // From the end, because a word depends on the one after it.
        let mut said: Vec<String> = Vec::with_capacity(groups.len());
        for group in groups.iter().rev() {
            let next = said.last().filter(|next| !next.is_empty());
            let is_before_vowel = next.is_some_and(|next| starts_with_vowel(next));
            let mut form = match next {
                None => group.forms.last.clone(),
                Some(_) if is_before_vowel => group.forms.before_vowel.clone(),
                Some(_) => group.forms.usual.clone(),
            };
            if is_before_vowel && (form.ends_with('ɚ') || form.ends_with("ɜː")) {
                form.push('ɹ');
            }
            if dialect == Dialect::Espeak152 {
                form = glided(&form.replace("oːɹ", "ɔːɹ"), is_before_vowel);
            }
            said.push(form);
        }
        said.reverse();
        let mut clause = Clause {
            phonemes: String::new(),
            mark,
            words: Vec::with_capacity(words.len()),
        };
        let mut at = 0;
        for (group, form) in groups.iter().zip(said) {
            let n_symbols = form.chars().count();
            if n_symbols > 0 && at > 0 {
                clause.phonemes.push(' ');
                at += 1;
            }
            clause.words.extend(group.words.iter().map(|(range, word)| SpokenWord {
                word: word.to_string(),
                range: range.clone(),
                phonemes: at..at + n_symbols,
            }));
            clause.phonemes.push_str(&form);
            at += n_symbols;
        }
        clause.phonemes.extend(mark);
        clause
    }

    fn groups<'a>(&self, words: &'a [(Range<usize>, &'a Word)]) -> Vec<Group<'a>> {
        let mut groups = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let pair = words
                .get(at..at + 2)
                .and_then(|pair| Some((pair, self.pair(pair[0].1, pair[1].1)?)));
            let (words, forms) = pair.unwrap_or_else(|| {
                let forms = match words[at].1 {
                    Word::Plain(word) => self.forms(word),
                    Word::Letters(letters) => spelled(letters),
                };
                (&words[at..=at], forms)
            });
            at += words.len();
            groups.push(Group { words, forms });
        }
        groups
    }

    fn pair(&self, first: &Word, second: &Word) -> Option<Forms> {
        let (Word::Plain(first), Word::Plain(second)) = (first, second) else {
            return None;
        };
        let pair = format!("{} {}", first.to_lowercase(), second.to_lowercase());
        self.special.get(pair.as_str()).cloned()
    }
}
