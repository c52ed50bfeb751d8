//! Cuts a text into chunks: what stands between white space, without its quotation marks, brackets and punctuation.

use std::ops::Range;

use super::table::Table;

/// A piece of text to be said as one, and the punctuation around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes of the text that it was made from.
    pub range: Range<usize>,
    /// Brackets that open before it.
    pub lead: Vec<char>,
    /// Never white space; empty if there was only punctuation.
    pub core: String,
    /// Punctuation behind it: `. , ; : ! ? … )`.
    pub tail: Vec<char>,
}

impl Chunk {
    pub fn starts_upper(&self) -> bool {
        self.core.chars().next().is_some_and(char::is_uppercase)
    }
}

/// Cuts `text`. Typographic characters become plain ones in the cores.
pub fn chunks(text: &str) -> Vec<Chunk> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (c.is_whitespace() || is_invisible(c), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                cut(text, from..at, &mut found);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        cut(text, from..text.len(), &mut found);
    }
    found
}

/// Zero-width and byte order marks, soft hyphens, controls.
fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{200E}' | '\u{200F}')
}

/// Cuts what has no white space at dashes, ellipses and emoji.
fn cut(text: &str, range: Range<usize>, found: &mut Vec<Chunk>) {
    let part = &text[range.clone()];
    let mut start = 0;
    let mut at = 0;
    while let Some(c) = part[at..].chars().next() {
        let rest = &part[at..];
        let behind = at + c.len_utf8();
        let is_between_letters = |length: usize| {
            let before = part[..at].chars().next_back();
            let after = part[at + length..].chars().next();
            before.is_some_and(char::is_alphabetic) && after.is_some_and(char::is_alphabetic)
        };
        let (length, mark) = match c {
            '—' | '―' => (c.len_utf8(), Some(',')),
            '…' => (c.len_utf8(), Some('…')),
            '.' if rest.starts_with("...") => (rest.len() - rest.trim_start_matches('.').len(), Some('…')),
            '-' if rest.starts_with("--") && is_between_letters(2) => (2, Some(',')),
            _ if is_emoji(c) => (c.len_utf8(), None),
            _ => {
                at = behind;
                continue;
            }
        };
        let is_path = rest.starts_with(".../");
        if is_path {
            at += length;
            continue;
        }
        if start < at {
            found.extend(trimmed(&part[start..at], range.start + start));
        }
        match (mark, found.last_mut()) {
            (Some(mark), Some(last)) => last.tail.push(mark),
            (Some(_), None) => {}
            (None, _) => found.push(Chunk {
                range: range.start + at..range.start + at + length,
                lead: Vec::new(),
                core: c.to_string(),
                tail: Vec::new(),
            }),
        }
        at += length;
        start = at;
    }
    if start < part.len() {
        found.extend(trimmed(&part[start..], range.start + start));
    }
}

/// Pictographs, and what modifies them.
pub fn is_emoji(c: char) -> bool {
    matches!(c,
        '\u{1F000}'..='\u{1FAFF}' | '\u{FE0E}' | '\u{FE0F}' | '\u{200D}' | '\u{20E3}' | '\u{E0020}'..='\u{E007F}')
        || Table::get().has("emoji", c.encode_utf8(&mut [0; 4]))
}

/// One chunk from what has no white space. `None`: nothing was left, not even punctuation.
fn trimmed(part: &str, offset: usize) -> Option<Chunk> {
    let table = Table::get();
    let mut core: String = part.chars().map(plain).collect();
    let mut chunk = Chunk {
        range: offset..offset + part.len(),
        lead: Vec::new(),
        core: String::new(),
        tail: Vec::new(),
    };
    let is_whole = |core: &str| ["op", "plain", "abbr"].iter().any(|kind| table.has(kind, core));
    if core
        .bytes()
        .all(|b| b == b'-' || b == b'_' || b == b'=' || b == b'*' || b == b'#')
        && !matches!(&*core, "=" | "==" | "*" | "#")
    {
        // A dash between words, a rule across the page.
        match &*core {
            "-" => chunk.core = core,
            _ => chunk.tail.push(','),
        }
        return Some(chunk);
    }
    while !is_whole(&core) {
        let Some(first) = core.chars().next() else { break };
        let is_decade = first == '\'' && core[1..].starts_with(|c: char| c.is_ascii_digit());
        match first {
            '(' | '[' | '{' => chunk.lead.push(first),
            '\'' if is_decade => break,
            '"' | '\'' | '`' | '<' | '*' | '¿' | '¡' => {}
            _ => break,
        }
        core.drain(..first.len_utf8());
    }
    while !is_whole(&core) {
        let Some(last) = core.chars().next_back() else { break };
        match last {
            '.' if is_initials(&core) => break,
            ')' if core.contains('(') => {}
            '.' | ',' | ';' | ':' | '!' | '?' | ')' => chunk.tail.push(last),
            '"' | '\'' | '`' | '>' | '*' | ']' | '}' => {}
            _ => break,
        }
        core.pop();
    }
    chunk.tail.reverse();
    chunk.core = core;
    let is_something = !chunk.core.is_empty() || !chunk.tail.is_empty() || !chunk.lead.is_empty();
    is_something.then_some(chunk)
}

/// `J.`, `U.S.`: letters, each with a full stop.
pub fn is_initials(core: &str) -> bool {
    let parts = core.split_inclusive('.');
    !core.is_empty()
        && parts.into_iter().all(|part| {
            let mut chars = part.chars();
            chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some('.') && chars.next().is_none()
        })
}

/// Typographic characters as those of a keyboard.
fn plain(c: char) -> char {
    match c {
        '‘' | '’' | '‚' | '‛' | 'ʼ' | '′' => '\'',
        '“' | '”' | '„' | '«' | '»' | '″' => '"',
        '‐' | '‑' | '–' | '−' => '-',
        '：' => ':',
        '，' | '、' => ',',
        '。' => '.',
        '！' => '!',
        '？' => '?',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(text: &str) -> Vec<String> {
        let show = |chunk: Chunk| {
            let lead: String = chunk.lead.iter().collect();
            let tail: String = chunk.tail.iter().collect();
            format!("{lead}|{}|{tail}", chunk.core)
        };
        chunks(text).into_iter().map(show).collect()
    }

    #[test]
    fn punctuation_is_apart_from_what_it_stands_at() {
        assert_eq!(
            cores("\"It's done,\" (she) said."),
            ["|It's|", "|done|,", "(|she|)", "|said|."]
        );
        assert_eq!(cores("Wait... what?"), ["|Wait|…", "|what|?"]);
        assert_eq!(
            cores("left—right no -- that"),
            ["|left|,", "|right|", "|no|", "||,", "|that|"]
        );
        assert_eq!(
            cores("Dr. U.S. end. i.e. '90s"),
            ["|Dr.|", "|U.S.|", "|end|.", "|i.e.|", "|'90s|"]
        );
        assert_eq!(cores("ok👍🏽!"), ["|ok|", "|👍|", "|🏽|", "||!"]);
        assert_eq!(cores(" \t\n"), Vec::<String>::new());
    }

    #[test]
    fn ranges_are_bytes_of_the_text() {
        let text = "  naïve “word”";
        let ranges: Vec<&str> = chunks(text).into_iter().map(|chunk| &text[chunk.range]).collect();
        assert_eq!(ranges, ["naïve", "“word”"]);
    }
}
