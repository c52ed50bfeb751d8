//! Code and what looks like it: identifiers, options, operators, capitals. Also what a single word becomes.

use super::number;
use super::rules::{Reader, Said};
use super::table::Table;

/// `parse_config`, `HashMap`, `a::b()`, `--release`, `x!=y`.
pub fn say(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    if core.starts_with('-') && core.len() > 1 {
        // What a long option is called is enough; a letter alone would not be understood.
        let dashes = if core.starts_with("--") { "" } else { "dash" };
        let name = core.trim_start_matches('-');
        // `-la` is two options.
        let is_letters = dashes == "dash" && name.len() < 4 && name.bytes().all(|b| b.is_ascii_alphabetic());
        let rest = if is_letters {
            spelled(name)
        } else {
            symbols(name, CODE, reader)
        };
        return Some(Said::one(format!("{dashes} {rest}")));
    }
    if let Some(rest) = core.strip_prefix('!').filter(|rest| !rest.is_empty()) {
        return Some(Said::one(format!("not {}", symbols(rest, CODE, reader))));
    }
    if let Some(name) = core.strip_prefix('@').filter(|name| name.starts_with(char::is_alphabetic)) {
        return Some(Said::one(format!("at {}", symbols(name, CODE, reader))));
    }
    if let Some(name) = core.strip_prefix('#').filter(|name| name.starts_with(char::is_alphabetic)) {
        return Some(Said::one(format!("hashtag {}", identifier(name, reader))));
    }
    let is_code = core.chars().any(|c| "_<>=|\\{}[]()$^~:*+@#".contains(c))
        || (core.contains('.') && !core.contains('-'))
        || core.contains("&&");
    is_code.then(|| Said::one(symbols(core, CODE, reader)))
}

/// How symbols between words are said; what is missing is passed over.
pub type Symbols = &'static [(&'static str, &'static str)];

/// In code: the longest first.
const CODE: Symbols = &[
    ("...", ""),
    ("!==", "not equals"),
    ("===", "equals"),
    ("==", "equals"),
    ("!=", "not equals"),
    ("<=", "less than or equal to"),
    (">=", "greater than or equal to"),
    ("=>", "arrow"),
    ("->", "arrow"),
    ("&&", "and"),
    ("||", "or"),
    ("+=", "plus equals"),
    ("-=", "minus equals"),
    ("++", "plus plus"),
    (".", "dot"),
    ("=", "equals"),
    ("+", "plus"),
    ("*", "star"),
    ("/", "slash"),
    ("%", "percent"),
    ("$", "dollar"),
    ("@", "at"),
    ("#", "hash"),
    ("~", "tilde"),
    ("^", "caret"),
    ("|", "pipe"),
    ("&", "and"),
    ("\\", "backslash"),
    (",", ","),
];

/// Runs of letters and digits as identifiers, symbols between them as `names` says.
pub fn symbols(text: &str, names: Symbols, reader: &Reader<'_>) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if is_of_word(first) {
            let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            said.push(identifier(rest[..end].trim_matches('\''), reader));
            rest = &rest[end..];
            continue;
        }
        let found = names.iter().find(|(symbol, _)| rest.starts_with(symbol));
        let (length, name) = found.map_or((first.len_utf8(), ""), |(symbol, name)| (symbol.len(), *name));
        said.push(name.to_owned());
        rest = &rest[length..];
    }
    said.retain(|words| !words.is_empty());
    said.join(" ")
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '\''
}

/// A run of letters and digits: cut at humps and between letters and digits, unless it is known as a whole.
pub fn identifier(run: &str, reader: &Reader<'_>) -> String {
    if let Some(said) = whole(run, reader) {
        return said;
    }
    let parts = humps(run).into_iter().map(|part| match number::is_digits(part) {
        true => number::whole(part),
        false => whole(part, reader).unwrap_or_else(|| token(part, reader)),
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn whole(run: &str, reader: &Reader<'_>) -> Option<String> {
    let table = Table::get();
    let small = run.to_lowercase();
    if let Some(said) = table.said("plain", run).or_else(|| table.said("plain", &small)) {
        return Some(said.to_owned());
    }
    let is_word = run.chars().skip(1).all(char::is_lowercase) && reader.is_word(&small);
    is_word.then(|| run.to_owned())
}

/// `HTTPServer2` → `HTTP`, `Server`, `2`.
fn humps(run: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = run.char_indices().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for (index, pair) in chars.windows(2).enumerate() {
        let [(_, a), (at, b)] = [pair[0], pair[1]];
        let next = chars.get(index + 2).map(|(_, c)| *c);
        let is_hump = a.is_lowercase() && b.is_uppercase();
        // A plural `s` behind capitals is no word.
        let is_plural = next == Some('s') && chars.get(index + 3).is_none_or(|(_, c)| !c.is_alphanumeric());
        let is_end_of_capitals = a.is_uppercase() && b.is_uppercase() && next.is_some_and(char::is_lowercase) && !is_plural;
        if is_hump || is_end_of_capitals || a.is_ascii_digit() != b.is_ascii_digit() {
            parts.push(&run[start..at]);
            start = at;
        }
    }
    parts.push(&run[start..]);
    parts
}

/// One word without humps or symbols, in any case; digits are cut off it.
pub fn token(word: &str, reader: &Reader<'_>) -> String {
    let word: String = word
        .chars()
        .filter(|c| is_of_word(*c) && (!c.is_alphabetic() || is_latin(*c)))
        .collect();
    let word = word.trim_matches('\'');
    if word.is_empty() {
        return String::new();
    }
    if word.contains(|c: char| c.is_ascii_digit()) {
        return match humps(word)[..] {
            [one] if number::is_digits(one) => number::whole(one),
            [_] => String::new(),
            ref parts => parts.iter().map(|part| token(part, reader)).collect::<Vec<_>>().join(" "),
        };
    }
    let (stem, suffix) = match word
        .strip_suffix("'s")
        .or_else(|| word.strip_suffix('s').filter(|stem| is_capitals(stem)))
    {
        Some(stem) if is_capitals(stem) => (stem, "'s"),
        _ => (word, ""),
    };
    let has_humps = stem.chars().skip(1).any(char::is_uppercase) && stem.chars().any(char::is_lowercase);
    if is_capitals(stem) {
        capitals(stem, suffix, reader)
    } else if has_humps && humps(stem).len() > 1 && !stem.contains('\'') {
        identifier(stem, reader)
    } else {
        small(word, reader)
    }
}

fn is_capitals(word: &str) -> bool {
    word.chars().count() > 1 && word.chars().all(char::is_uppercase)
}

/// Capitals: a word that is known in capitals, or letters.
fn capitals(word: &str, suffix: &str, reader: &Reader<'_>) -> String {
    let table = Table::get();
    if let Some(said) = table.said("word", word) {
        let said = if said.eq_ignore_ascii_case(word) { word } else { said };
        return format!("{said}{suffix}");
    }
    let small = word.to_lowercase();
    let n_letters = word.chars().count();
    let is_spelled = table.has("letters", &small) || !small.contains(is_vowel);
    let is_shouted = || {
        [reader.behind(1), reader.ahead(1)]
            .into_iter()
            .flatten()
            .any(|chunk| is_shouting(&chunk.core))
    };
    let is_word = table.has("caps", word) || (!is_spelled && reader.is_word(&small) && (n_letters > 3 || is_shouted()));
    if is_word || (n_letters > 5 && !is_spelled) {
        return format!("{word}{suffix}");
    }
    format!("{}{suffix}", spelled(word))
}

/// A long word in capitals: its neighbours may be words too.
fn is_shouting(word: &str) -> bool {
    word.chars().count() > 4 && word.chars().all(|c| c.is_uppercase() || c == '\'')
}

/// A word in small letters, or with a capital first.
fn small(word: &str, reader: &Reader<'_>) -> String {
    let table = Table::get();
    let is_name = word.starts_with(char::is_uppercase);
    let small = word.to_lowercase();
    let n_letters = word.chars().count();
    let has_no_vowel =
        n_letters > 1 && !small.contains(is_vowel) && !small.contains('\'') && small.chars().all(|c| c.is_ascii_lowercase());
    let is_spelled =
        (table.has("letters", word) && !is_name) || (has_no_vowel && !reader.is_word(&small) && !is_interjection(&small));
    if is_spelled { spelled(word) } else { word.to_owned() }
}

fn is_interjection(word: &str) -> bool {
    ["hmm", "hm", "mm", "mmm", "shh", "psst", "brr", "pfft", "zzz"].contains(&word)
}

fn is_vowel(c: char) -> bool {
    "aeiouyäöüéèáàíóúåæø".contains(c)
}

/// `GPU` → `g.p.u`; `a` → `a.`.
pub fn spelled(word: &str) -> String {
    let letters: Vec<String> = word
        .chars()
        .filter(|c| c.is_alphabetic())
        .map(|c| c.to_lowercase().collect())
        .collect();
    match &letters[..] {
        [one] => format!("{one}."),
        many => many.join("."),
    }
}

/// A letter that the voice's language writes with, or that can be read as one.
pub fn is_latin(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | 'À'..='ɏ' | 'Ḁ'..='ỿ' | 'ﬀ'..='ﬆ')
}
