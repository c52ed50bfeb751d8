//! Numbers with what belongs to them: signs, units, money, percent, ranges, fractions, versions, telephone numbers.

use super::code;
use super::number::{self, decimal, digits, is_digits};
use super::rules::{Reader, Said};
use super::table::Table;

/// Words near a number of seven digits that make it a telephone's.
const BEFORE_PHONE: [&str; 8] = ["call", "phone", "tel", "telephone", "dial", "fax", "number", "text"];

/// `+1 (555) 123-4567`, `555-123-4567`, `call 555-1234`: digits one by one.
pub fn phone(reader: &Reader<'_>) -> Option<Said> {
    let mut groups: Vec<&str> = Vec::new();
    let mut n_chunks = 0;
    let mut lengths = Vec::new();
    let has_plus = reader.core().starts_with('+');
    while let Some(chunk) = reader.ahead(n_chunks) {
        let core = if n_chunks == 0 {
            chunk.core.trim_start_matches('+')
        } else {
            &chunk.core
        };
        let parts: Vec<&str> = core.split(['-', '.', ')']).filter(|part| !part.is_empty()).collect();
        let is_part = !parts.is_empty() && parts.iter().all(|part| is_digits(part) && part.len() <= 4);
        let is_joined = n_chunks == 0 || chunk.lead.iter().all(|c| *c == '(');
        if !is_part || !is_joined {
            break;
        }
        groups.extend(parts);
        n_chunks += 1;
        lengths.push((n_chunks, groups.len()));
        let is_end = chunk.tail.iter().any(|mark| *mark != ')');
        if is_end || groups.len() > 5 {
            break;
        }
    }
    let is_called = (1..=8).any(|n| {
        let word = reader.behind(n).map(|chunk| chunk.core.to_lowercase());
        word.is_some_and(|word| BEFORE_PHONE.contains(&word.as_str()))
    });
    let is_phone = |n_groups: &usize| {
        let sizes: Vec<usize> = groups[..*n_groups].iter().map(|group| group.len()).collect();
        match sizes[..] {
            [3, 3, 4] | [1, 3, 3, 4] => true,
            [3, 4] => is_called,
            _ => has_plus && (3..=6).contains(n_groups) && (7..=15).contains(&sizes.iter().sum::<usize>()),
        }
    };
    let (n_chunks, n_groups) = lengths.into_iter().rev().find(|(_, n_groups)| is_phone(n_groups))?;
    let said: Vec<String> = groups[..n_groups].iter().map(|group| digits(group)).collect();
    let plus = if has_plus { "plus " } else { "" };
    Some(Said::of(n_chunks, format!("{plus}{}", said.join(" , "))))
}

/// `$1,284.50`, `-$5`, `$3 million`, `$5/month`, `$10-$20`, `20 €`, `100 USD`.
pub fn money(reader: &Reader<'_>) -> Option<Said> {
    let table = Table::get();
    let core = reader.core();
    let (sign, rest) = signed(core);
    let Some((symbol, (one, more))) = table.longest("money", rest) else {
        return money_behind(reader);
    };
    let [many, cent, cents] = more[..] else { return None };
    let rest = &rest[symbol.len()..];
    let (amount, rest) = head(rest)?;
    if let Some(second) = rest.strip_prefix('-') {
        let second = second.strip_prefix(symbol).unwrap_or(second);
        let (last, after) = head(second)?;
        return after
            .is_empty()
            .then(|| Some(Said::one(format!("{} to {} {many}", decimal(amount)?, decimal(last)?))))?;
    }
    let (scale, rest) = match table.longest("scale", rest) {
        Some((written, (said, _))) if !rest[written.len()..].starts_with(char::is_alphabetic) => {
            (Some(*said), &rest[written.len()..])
        }
        _ => (None, rest),
    };
    let next = reader
        .following(1)
        .and_then(|next| table.said("scale", next).filter(|said| *said == next));
    let (n_chunks, scale) = match (scale, next) {
        (None, Some(scale)) if rest.is_empty() => (2, Some(scale)),
        (scale, _) => (1, scale),
    };
    let per = match rest.strip_prefix('/') {
        Some(unit) => format!(" per {}", unit_or_word(unit, reader)),
        None if rest.is_empty() || rest == "+" => {
            if rest == "+" {
                " plus".into()
            } else {
                String::new()
            }
        }
        None => return None,
    };
    let said = match scale {
        Some(scale) => format!("{} {scale} {many}", decimal(amount)?),
        None => amount_said(amount, [one, many, cent, cents])?,
    };
    Some(Said::of(n_chunks, format!("{sign}{said}{per}")))
}

/// The currency behind the number.
fn money_behind(reader: &Reader<'_>) -> Option<Said> {
    let (sign, rest) = signed(reader.core());
    let (amount, rest) = head(rest)?;
    let (n_chunks, written) = if rest.is_empty() {
        (2, reader.following(1)?)
    } else {
        (1, rest)
    };
    let (one, more) = Table::get().row("money", written)?;
    let [many, cent, cents] = more[..] else { return None };
    Some(Said::of(
        n_chunks,
        format!("{sign}{}", amount_said(amount, [one, many, cent, cents])?),
    ))
}

/// Whole and hundredths.
fn amount_said(amount: &str, [one, many, cent, cents]: [&str; 4]) -> Option<String> {
    let Some((whole, hundredths)) = amount.split_once('.').filter(|(_, part)| part.len() == 2 && is_digits(part)) else {
        let unit = if amount == "1" { one } else { many };
        return Some(format!("{} {unit}", decimal(amount)?));
    };
    let part: u64 = hundredths.parse().ok()?;
    let whole = number::without_commas(whole)?;
    let small = format!("{} {}", number::cardinal(part), if part == 1 { cent } else { cents });
    let big = format!("{} {}", number::whole(&whole), if whole == "1" { one } else { many });
    Some(match (whole.trim_start_matches('0'), part) {
        (_, 0) => big,
        ("", _) => small,
        _ => format!("{big} and {small}"),
    })
}

/// A sign in words, and what follows it.
fn signed(text: &str) -> (&'static str, &str) {
    const SIGNS: [(&str, &str); 7] = [
        ("-", "minus "),
        ("+", "plus "),
        ("±", "plus or minus "),
        ("~", "about "),
        ("≈", "about "),
        ("<", "less than "),
        (">", "more than "),
    ];
    let found = SIGNS
        .iter()
        .find_map(|(sign, said)| text.strip_prefix(sign).map(|rest| (*said, rest)));
    found.unwrap_or(("", text))
}

/// The number at the start of `text`, and what follows it.
fn head(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','))
        .unwrap_or(text.len());
    let number = text[..end].trim_end_matches(['.', ',']);
    decimal(number)?;
    Some((number, &text[number.len()..]))
}

/// A number and what is written to it.
pub fn say(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    if let Some(rest) = core.strip_prefix('#').filter(|rest| is_digits(rest)) {
        return Some(Said::one(format!("number {}", number::whole(rest))));
    }
    if let Some(said) = dotted(core, reader).or_else(|| hexadecimal(core)) {
        return Some(Said::one(said));
    }
    if super::address::is_hash(core) {
        let letters = core
            .chars()
            .map(|c| c.to_string())
            .map(|c| if is_digits(&c) { digits(&c) } else { code::spelled(&c) });
        return Some(Said::one(letters.collect::<Vec<_>>().join(" ")));
    }
    let (sign, rest) = signed(core);
    let (amount, rest) = head(rest)?;
    let said = decimal(amount)?;
    let one = if amount == "1" { 0 } else { 1 };
    if rest.is_empty() {
        if let Some(unit) = reader.following(1).and_then(|next| spaced_unit(next, one)) {
            return Some(Said::of(2, format!("{sign}{said} {unit}")));
        }
        return Some(Said::one(format!("{sign}{said}")));
    }
    let said = behind(amount, &said, rest, reader)?;
    let unit = reader.following(1).filter(|_| rest.ends_with(|c: char| c.is_ascii_digit()));
    Some(match unit.and_then(|next| spaced_unit(next, 1)) {
        Some(unit) => Said::of(2, format!("{sign}{said} {unit}")),
        None => Said::one(format!("{sign}{said}")),
    })
}

/// What stands behind an amount, touching it.
fn behind(amount: &str, said: &str, rest: &str, reader: &Reader<'_>) -> Option<String> {
    let is_whole = is_digits(amount);
    let value = amount.parse::<u64>();
    if let (Ok(value), "st" | "nd" | "rd" | "th") = (value.clone(), rest) {
        return Some(number::ordinal(value));
    }
    if let Some(second) = rest.strip_prefix('-') {
        if let Some((last, after)) = head(second) {
            let unit = if after.is_empty() {
                Some(String::new())
            } else {
                unit(after, 1).map(|unit| format!(" {unit}"))
            };
            if let Some(unit) = unit {
                return Some(format!("{said} to {}{unit}", decimal(last)?));
            }
        }
        return Some(format!("{said} {}", code::symbols(second, &[], reader)));
    }
    if let Some(second) = rest.strip_prefix('/').filter(|second| is_digits(second) && is_whole) {
        return Some(fraction(value.ok()?, second.parse().ok()?));
    }
    if let Some((total, after)) = rest.strip_prefix('/').and_then(head) {
        let unit = if after.is_empty() { "" } else { unit(after, 1)? };
        return Some(format!("{said} out of {} {unit}", decimal(total)?));
    }
    if let Some(inches) = rest.strip_prefix('\'').filter(|_| is_whole) {
        let inches = inches.trim_end_matches(['"', '\'']);
        return is_digits(inches).then(|| format!("{said} foot {}", number::whole(inches)));
    }
    if let Some(second) = rest.strip_prefix(':').filter(|second| is_digits(second)) {
        return Some(format!("{said} to {}", number::whole(second)));
    }
    if let Some(second) = rest
        .strip_prefix(['x', '×'])
        .filter(|second| second.starts_with(|c: char| c.is_ascii_digit()))
    {
        return dimensions(amount, second);
    }
    if let Some(unit) = unit(rest, if amount == "1" { 0 } else { 1 }) {
        return Some(format!("{said} {unit}"));
    }
    if let Some(scale) = Table::get()
        .said("scale", rest)
        .filter(|_| !matches!(rest, "B" | "b" | "T" | "m"))
    {
        return Some(format!("{said} {scale}"));
    }
    if let Some(part) = rest.strip_prefix('/') {
        return Some(format!("{said} per {}", unit_or_word(part, reader)));
    }
    match rest {
        "+" => Some(format!("{said} plus")),
        "!" => Some(format!("{said} factorial")),
        _ if rest.starts_with(char::is_alphabetic) => Some(format!("{said} {}", code::symbols(rest, &[], reader))),
        _ => None,
    }
}

/// A unit in its singular (0) or plural (1) form.
fn unit(written: &str, form: usize) -> Option<&'static str> {
    let (one, more) = Table::get().row("unit", written)?;
    Some(if form == 0 { one } else { more.first().unwrap_or(one) })
}

fn spaced_unit(written: &str, form: usize) -> Option<&'static str> {
    let is_apart = !Table::get().has("touching", written);
    unit(written, form).filter(|_| is_apart)
}

fn unit_or_word(written: &str, reader: &Reader<'_>) -> String {
    match unit(written, 0) {
        Some(unit) => unit.to_owned(),
        None => code::symbols(written, &[], reader),
    }
}

/// `1.2.3`, `v1.2`, `192.168.0.1`.
fn dotted(core: &str, reader: &Reader<'_>) -> Option<String> {
    if let Some((host, port)) = core.split_once(':').filter(|(_, port)| is_digits(port)) {
        return Some(format!("{} colon {}", dotted(host, reader)?, number::whole(port)));
    }
    let is_version_said = reader
        .behind(1)
        .is_some_and(|chunk| chunk.core.eq_ignore_ascii_case("version"));
    let (name, rest) = match core.strip_prefix(['v', 'V']) {
        Some(rest) if is_version_said => ("", rest),
        Some(rest) => ("version ", rest),
        None => ("", core),
    };
    let (rest, suffix) = rest.split_once('-').unwrap_or((rest, ""));
    let parts: Vec<&str> = rest.split('.').collect();
    let is_version =
        parts.iter().all(|part| is_digits(part)) && (parts.len() > 2 || (parts.len() == 2 && core.starts_with(['v', 'V'])));
    let suffix = match suffix {
        "" => String::new(),
        _ if suffix.chars().all(|c| c.is_ascii_alphabetic()) => format!(" {suffix}"),
        _ => return None,
    };
    let joint = if parts.len() == 4 { " dot " } else { " point " };
    let words: Vec<String> = parts.iter().map(|part| number::whole(part)).collect();
    is_version.then(|| format!("{name}{}{suffix}", words.join(joint)))
}

/// `0xFF`: digits and letters one by one.
fn hexadecimal(core: &str) -> Option<String> {
    let digits_only = core.strip_prefix("0x").or_else(|| core.strip_prefix("0X"))?;
    if digits_only.is_empty() || !digits_only.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let words = digits_only.chars().map(|c| match c.is_ascii_digit() {
        true => digits(c.encode_utf8(&mut [0; 4])),
        false => code::spelled(c.encode_utf8(&mut [0; 4])),
    });
    Some(format!("hex {}", words.collect::<Vec<_>>().join(" ")))
}

/// Halves to tenths have names; the others are so many out of so many.
fn fraction(top: u64, bottom: u64) -> String {
    let plural = if top == 1 { "" } else { "s" };
    let name = match bottom {
        2 if top == 1 => "half".into(),
        2 => "halves".into(),
        4 => format!("quarter{plural}"),
        3 | 5..=10 => format!("{}{plural}", number::ordinal(bottom)),
        _ => String::new(),
    };
    let [top_said, bottom_said] = [top, bottom].map(number::cardinal);
    match name {
        name if !name.is_empty() && top < bottom => format!("{top_said} {name}"),
        _ if top <= bottom => format!("{top_said} out of {bottom_said}"),
        _ => format!("{top_said} over {bottom_said}"),
    }
}

/// `1920x1080`, `2x3x4cm`; four digits in pairs.
fn dimensions(first: &str, rest: &str) -> Option<String> {
    let side = |text: &str| match (text.len(), text.parse::<u64>()) {
        (4, Ok(value)) if value % 100 >= 10 && value % 1000 >= 10 => {
            Some(format!("{} {}", number::cardinal(value / 100), number::cardinal(value % 100)))
        }
        _ => decimal(text),
    };
    let mut said = vec![side(first)?];
    for part in rest.split(['x', '×']) {
        let (amount, after) = head(part)?;
        let unit = if after.is_empty() {
            String::new()
        } else {
            format!(" {}", unit(after, 1)?)
        };
        said.push(format!("{}{unit}", side(amount)?));
    }
    Some(said.join(" by "))
}
