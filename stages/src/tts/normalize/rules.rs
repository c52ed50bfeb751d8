//! The rules in the order in which they are tried, and those about words. Each looks at a chunk and its neighbours.

use super::chunk::{Chunk, is_emoji, is_initials};
use super::table::Table;
use super::{address, code, date, number, quantity};

/// A place in the text.
pub struct Reader<'a> {
    chunks: &'a [Chunk],
    at: usize,
    is_word: &'a dyn Fn(&str) -> bool,
}

/// What a rule says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub n_chunks: usize,
    /// Letters with dots between them are spelled; `,` is a pause.
    pub words: String,
    /// The full stop of an abbreviation is also that of the sentence.
    pub ends_sentence: bool,
    pub n_unspoken: usize,
}

impl Said {
    /// One chunk.
    pub fn one(words: impl Into<String>) -> Self {
        Self::of(1, words)
    }

    pub fn of(n_chunks: usize, words: impl Into<String>) -> Self {
        Self {
            n_chunks,
            words: words.into(),
            ..Self::default()
        }
    }
}

impl<'a> Reader<'a> {
    pub fn new(chunks: &'a [Chunk], at: usize, is_word: &'a dyn Fn(&str) -> bool) -> Self {
        Self { chunks, at, is_word }
    }

    pub fn core(&self) -> &'a str {
        &self.chunks[self.at].core
    }

    pub fn chunk(&self) -> &'a Chunk {
        &self.chunks[self.at]
    }

    /// The chunk `n` further on, whatever stands between.
    pub fn ahead(&self, n: usize) -> Option<&'a Chunk> {
        self.chunks.get(self.at + n)
    }

    /// What follows directly, with no punctuation between.
    pub fn following(&self, n: usize) -> Option<&'a str> {
        let next = self.ahead(n)?;
        let is_joined = self.chunks[self.at..self.at + n].iter().all(|chunk| chunk.tail.is_empty());
        (is_joined && next.lead.is_empty()).then_some(next.core.as_str())
    }

    /// The chunk `n` before.
    pub fn behind(&self, n: usize) -> Option<&'a Chunk> {
        self.at.checked_sub(n).map(|at| &self.chunks[at])
    }

    /// Whether a sentence starts here.
    pub fn is_start(&self) -> bool {
        self.behind(1)
            .is_none_or(|chunk| chunk.tail.iter().any(|mark| ".!?…:".contains(*mark)))
    }

    pub fn is_word(&self, word: &str) -> bool {
        (self.is_word)(word)
    }
}

/// Words that start a sentence more often than they are part of a name.
const STARTERS: [&str; 22] = [
    "The", "A", "An", "It", "He", "She", "They", "We", "I", "You", "In", "On", "At", "This", "That", "But", "And", "There",
    "What", "When", "If", "",
];

type Rule = fn(&Reader<'_>) -> Option<Said>;

const RULES: [Rule; 14] = [
    known,
    date::date,
    abbreviation,
    keys,
    address::say,
    quantity::phone,
    date::time,
    quantity::money,
    address::file,
    quantity::say,
    roman,
    single_letter,
    code::say,
    words,
];

/// What is said at a place: always at least one chunk.
pub fn say(reader: &Reader<'_>) -> Said {
    RULES.iter().find_map(|rule| rule(reader)).unwrap_or_else(|| Said::one(""))
}

/// Forms that the table has as they stand.
fn known(reader: &Reader<'_>) -> Option<Said> {
    let (table, core) = (Table::get(), reader.core());
    let is_single = core.chars().count() == 1;
    if is_single && core.chars().all(is_emoji) {
        let name = table.said("emoji", core);
        let is_modifier = core
            .chars()
            .all(|c| matches!(c, '\u{FE0E}' | '\u{FE0F}' | '\u{200D}' | '\u{1F3FB}'..='\u{1F3FF}'));
        let said = Said::one(name.map(|name| format!(", {name} ,")).unwrap_or_default());
        return Some(Said {
            n_unspoken: usize::from(name.is_none() && !is_modifier),
            ..said
        });
    }
    if core == "-" {
        let is_sum = reader.behind(1).is_some_and(ends_in_digit) && reader.ahead(1).is_some_and(starts_with_digit);
        return Some(Said::one(if is_sum { "minus" } else { "," }));
    }
    let said = ["plain", "greek", "op"].iter().find_map(|kind| table.said(kind, core))?;
    Some(Said::one(said))
}

fn ends_in_digit(chunk: &Chunk) -> bool {
    chunk.core.ends_with(|c: char| c.is_ascii_digit())
}

fn starts_with_digit(chunk: &Chunk) -> bool {
    chunk.core.starts_with(|c: char| c.is_ascii_digit())
}

/// `Dr.`, `etc.`, `No. 5`, `U.S.`, `J.`
fn abbreviation(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    let next = reader.ahead(1);
    let is_end = next.is_none_or(|next| next.starts_upper() || next.core.is_empty());
    let with_stop = format!("{core}.");
    let has_stop = core.ends_with('.');
    let row = Table::get().row("abbr", core).or_else(|| {
        // The stop was taken for the sentence's: look again with it.
        let is_stop = reader.chunk().tail.first() == Some(&'.');
        is_stop.then(|| Table::get().row("abbr", &with_stop)).flatten()
    });
    let Some((said, more)) = row else {
        if !is_initials(core) {
            return None;
        }
        let is_name = core.len() == 2 && is_end;
        return Some(Said {
            ends_sentence: !is_name && next.is_none_or(|next| STARTERS.contains(&next.core.as_str())),
            ..Said::one(code::spelled(core))
        });
    };
    let (mut said, mut ends_sentence) = (*said, is_end && has_stop);
    match more.first() {
        Some(&"title") => ends_sentence = false,
        Some(&"number") if !next.is_some_and(starts_with_digit) => return None,
        Some(&"number-before") if !reader.behind(1).is_some_and(ends_in_digit) => return None,
        Some(&"number") => ends_sentence = false,
        Some(&"place") => {
            let is_before_name = next.is_some_and(Chunk::starts_upper) && !is_after_name(reader);
            match more.get(1) {
                Some(after) if !is_before_name => said = after,
                _ => ends_sentence = false,
            }
        }
        _ => {}
    }
    Some(Said {
        ends_sentence,
        ..Said::one(said)
    })
}

/// Whether a name or number with a name stands before: then `St.` is a street.
fn is_after_name(reader: &Reader<'_>) -> bool {
    let is_name = |chunk: &Chunk| chunk.starts_upper() && chunk.tail.is_empty();
    reader.behind(1).is_some_and(is_name)
        && reader.behind(2).is_some_and(|chunk| !chunk.core.is_empty())
        && reader
            .behind(2)
            .is_some_and(|chunk| ends_in_digit(chunk) || chunk.starts_upper())
}

/// `Ctrl+C`, `Ctrl+Shift+T`, `Alt-F4`.
fn keys(reader: &Reader<'_>) -> Option<Said> {
    let (table, core) = (Table::get(), reader.core());
    let joint = if core.contains('+') { '+' } else { '-' };
    let parts: Vec<&str> = core.split(joint).collect();
    let is_combination = parts.len() > 1 && parts.first().is_some_and(|first| table.has("key", first));
    let is_key = |part: &&str| table.has("key", part) || part.chars().count() == 1 || part.starts_with('F');
    if !is_combination || !(joint == '+' || parts.iter().all(is_key)) {
        return None;
    }
    let names = parts.iter().map(|part| {
        let name = table.said("key", part).or_else(|| table.said("op", part));
        match name {
            Some(name) => name.to_owned(),
            None if part.is_empty() => "plus".into(),
            None if part.chars().count() == 1 => code::spelled(part),
            None => code::identifier(part, reader),
        }
    });
    Some(Said::one(names.collect::<Vec<_>>().join(" ")))
}

/// `World War II`, `Henry VIII`.
fn roman(reader: &Reader<'_>) -> Option<Said> {
    let before = reader.behind(1).filter(|chunk| chunk.tail.is_empty())?;
    let form = Table::get().said("roman", &before.core)?;
    let value = match (number::roman(reader.core()), reader.core()) {
        (Some(value), _) => value,
        (None, "I") if form == "cardinal" => 1,
        _ => return None,
    };
    Some(Said::one(match form {
        "ordinal" => format!("the {}", number::ordinal(value)),
        _ => number::cardinal(value),
    }))
}

/// A capital by itself is a letter, but for `I` and an article.
fn single_letter(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    let mut chars = core.chars();
    let (letter, None) = (chars.next()?, chars.next()) else {
        return None;
    };
    let is_article = letter == 'a' || (letter == 'A' && reader.is_start());
    (letter.is_alphabetic() && code::is_latin(letter) && !is_article && letter != 'I').then(|| Said::one(code::spelled(core)))
}

/// Words, with hyphens or slashes between them; capitals; what is left of anything else.
fn words(reader: &Reader<'_>) -> Option<Said> {
    let mut said = Vec::new();
    for part in reader.core().split(['-', '/', '.', '&', '+', '_']) {
        said.push(code::token(part, reader));
    }
    let n_unspoken = reader
        .core()
        .chars()
        .filter(|c| c.is_alphabetic() && !code::is_latin(*c))
        .count();
    let words: Vec<String> = said.into_iter().filter(|words| !words.is_empty()).collect();
    Some(Said {
        n_unspoken,
        ..Said::one(words.join(" "))
    })
}
