//! Addresses of pages and mailboxes, paths and names of files.

use super::code::{self, Symbols};
use super::number;
use super::rules::{Reader, Said};
use super::table::Table;

/// In addresses every symbol is said.
const ADDRESS: Symbols = &[
    ("://", "colon slash slash"),
    (".", "dot"),
    ("/", "slash"),
    ("-", "dash"),
    ("_", "underscore"),
    ("?", "question mark"),
    ("=", "equals"),
    ("&", "and"),
    ("#", "hash"),
    ("%", "percent"),
    ("~", "tilde"),
    (":", "colon"),
    ("@", "at"),
    ("+", "plus"),
];

/// In names of files the gaps between words are silent.
const FILE: Symbols = &[
    (".", "dot"),
    ("/", "slash"),
    ("\\", "backslash"),
    ("~", "tilde"),
    (":", "colon"),
    ("@", "at"),
    ("+", "plus"),
    ("#", "hash"),
    ("*", "star"),
    ("=", "equals"),
    ("$", "dollar"),
    ("&", "and"),
    ("%", "percent"),
];

/// `https://example.com/a?b=c`, `www.example.com`, `me@example.com`, `example.com/a`.
pub fn say(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    let is_address = scheme(core).is_some() || core.starts_with("www.") || is_mailbox(core) || is_host(core);
    is_address.then(|| Said::one(dotted(core, ADDRESS, reader)))
}

/// `src/main.rs`, `~/notes.txt`, `C:\Users`, `.bashrc`, `config.toml:12`.
pub fn file(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    let drive = core.as_bytes().first_chunk::<3>();
    let is_drive = drive.is_some_and(|[letter, colon, slash]| letter.is_ascii_alphabetic() && *colon == b':' && *slash == b'\\');
    let is_absolute = ["/", "~/", "./", "../", "\\\\", "$"]
        .iter()
        .any(|start| core.starts_with(start))
        && core.contains(char::is_alphabetic);
    let has_folders = core.matches('/').count() > 1 || (core.contains('/') && core.contains(['.', '_']));
    let is_path = is_drive || (is_absolute && core.len() > 1) || (has_folders && core.contains(char::is_alphabetic));
    // A line or column behind the name.
    let name = core.split(':').next().unwrap_or(core);
    let is_name = name.rsplit_once('.').is_some_and(|(stem, ending)| {
        let is_stem = stem.is_empty() || stem.contains(char::is_alphabetic) || stem.contains('*');
        is_stem && !stem.contains(['(', ')', '[', ',', '=']) && Table::get().has("ext", ending)
    });
    (is_path || is_name).then(|| Said::one(dotted(core, FILE, reader)))
}

fn scheme(core: &str) -> Option<&str> {
    let (scheme, rest) = core.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_scheme && !rest.is_empty()).then_some(scheme)
}

fn is_mailbox(core: &str) -> bool {
    let core = core.strip_prefix("mailto:").unwrap_or(core);
    let Some((name, host)) = core.split_once('@') else {
        return false;
    };
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+%".contains(&b));
    is_name && host.contains('.') && is_dotted(host)
}

/// Dotted labels that end in a known domain, with or without a path.
fn is_host(core: &str) -> bool {
    let end = core.find(['/', '?', ':']).unwrap_or(core.len());
    let Some((_, domain)) = core[..end].rsplit_once('.') else {
        return false;
    };
    Table::get().has("tld", domain) && is_dotted(&core[..end]) && core.contains(|c: char| c.is_ascii_alphabetic())
}

fn is_dotted(host: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    host.split('.').all(is_label)
}

/// Runs with their symbols, each run behind a dot as an ending if it is one.
fn dotted(text: &str, names: Symbols, reader: &Reader<'_>) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut rest = text;
    if let Some(scheme) = scheme(text) {
        said.push(code::spelled(scheme));
        rest = &rest[scheme.len()..];
    }
    let mut is_behind_dot = false;
    while let Some(first) = rest.chars().next() {
        let is_run = |c: char| c.is_alphanumeric();
        let end = rest.find(|c| is_run(c) != is_run(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        if !is_run(first) {
            said.push(code::symbols(part, names, reader));
            is_behind_dot = part.ends_with('.');
            continue;
        }
        let is_ending = is_behind_dot && !rest.starts_with('.') && !rest.starts_with(['-', '_']);
        let ending = Table::get().said("ext", part).filter(|_| is_ending);
        said.push(match ending {
            Some(ending) => ending.to_owned(),
            None => run(part, reader),
        });
    }
    said.retain(|words| !words.is_empty());
    said.join(" ")
}

fn run(part: &str, reader: &Reader<'_>) -> String {
    if part == "www" || is_hash(part) {
        let letters = part.chars().map(|c| match c.is_ascii_digit() {
            true => number::digits(c.encode_utf8(&mut [0; 4])),
            false => code::spelled(c.encode_utf8(&mut [0; 4])),
        });
        return match part {
            "www" => "w.w.w".into(),
            _ => letters.collect::<Vec<_>>().join(" "),
        };
    }
    code::identifier(part, reader)
}

/// Seven or more hexadecimal digits, letters and digits among them.
pub fn is_hash(part: &str) -> bool {
    let is_hex = part.len() >= 7 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex && part.contains(|c: char| c.is_ascii_digit()) && part.contains(|c: char| c.is_ascii_lowercase())
}
